// Prepended to the JavaScript of test programs: gives them the variables that
// Bazel sets for a test, such as TEST_TMPDIR, which Emscripten withholds.
Module['preRun'] = Module['preRun'] || [];
Module['preRun'].push(() => Object.assign(ENV, process.env));
