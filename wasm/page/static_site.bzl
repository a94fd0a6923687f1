"""The page as a folder that any static host serves."""

def _static_site_impl(ctx):
    folder = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        command = 'exec node "$@"',
        arguments = [
            ctx.file.build.path,
            "--modules=" + ctx.file.node_modules.path,
            "--package=" + ctx.file.package.path,
            "--out=" + folder.path,
        ],
        inputs = depset(
            [ctx.file.build, ctx.file.node_modules, ctx.file.package],
            transitive = [depset(ctx.files.srcs)],
        ),
        outputs = [folder],
        mnemonic = "StaticSite",
        progress_message = "Making the page %s" % ctx.label,
        use_default_shell_env = True,
    )
    return [DefaultInfo(
        files = depset([folder]),
        runfiles = ctx.runfiles([folder]),
    )]

static_site = rule(
    implementation = _static_site_impl,
    attrs = {
        "build": attr.label(allow_single_file = True, mandatory = True),
        "node_modules": attr.label(
            allow_single_file = True,
            doc = "With typescript, esbuild and lit-html.",
            mandatory = True,
        ),
        "package": attr.label(
            allow_single_file = True,
            doc = "The folder of @monoquant/core.",
            mandatory = True,
        ),
        "srcs": attr.label_list(
            allow_files = True,
            doc = "All that the script reads from its own directory.",
        ),
    },
)
