"""The npm package, as the folder that npm would publish."""

def _npm_package_impl(ctx):
    folder = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        command = 'exec bash "$@"',
        arguments = [
            ctx.file.build.path,
            ctx.file.node_modules.path,
            ctx.file.module.path,
            folder.path,
        ],
        inputs = depset(
            [ctx.file.build, ctx.file.node_modules, ctx.file.module],
            transitive = [depset(ctx.files.srcs)],
        ),
        outputs = [folder],
        mnemonic = "NpmPackage",
        progress_message = "Making the npm package %s" % ctx.label,
        use_default_shell_env = True,
    )
    return [DefaultInfo(
        files = depset([folder]),
        runfiles = ctx.runfiles([folder]),
    )]

npm_package = rule(
    implementation = _npm_package_impl,
    attrs = {
        "build": attr.label(allow_single_file = True, mandatory = True),
        "module": attr.label(
            allow_single_file = True,
            doc = "monoquant.wasm",
            mandatory = True,
        ),
        "node_modules": attr.label(
            allow_single_file = True,
            doc = "With typescript and @types/node.",
            mandatory = True,
        ),
        "srcs": attr.label_list(
            allow_files = True,
            doc = "All that the script reads from its own directory and beside.",
        ),
    },
)
