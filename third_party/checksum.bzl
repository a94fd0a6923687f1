"""Checks a downloaded file against its pin."""

def check_sha256(ctx, file, expected, what):
    """Fails unless `file` has the digest that deps.bzl promises.

    The package clients check signatures of their own, but only a digest in our
    repository makes two builds of one commit start from the same bytes.

    Args:
      ctx: the repository context.
      file: name of the file, inside the repository folder.
      expected: its SHA-256 in hexadecimal.
      what: what to call the file in a message.
    """
    result = ctx.execute(["sha256sum", file])
    if result.return_code != 0:
        fail("cannot hash %s: %s" % (what, result.stderr))
    found = result.stdout.split(" ")[0]
    if found != expected:
        fail(("%s has SHA-256 %s, but third_party/deps.bzl pins %s. " +
              "Either the package was replaced under the same version or the " +
              "pin is for another architecture; compare before you change it.") %
             (what, found, expected))
