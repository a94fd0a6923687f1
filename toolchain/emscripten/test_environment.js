// Prepended to the JavaScript of test programs: gives them the variables that
// Bazel sets for a test, such as TEST_TMPDIR, which Emscripten withholds.
// Programs that never ask for a variable have no ENV.
Module['preRun'] = Module['preRun'] || [];
Module['preRun'].push(
    () => typeof ENV !== 'undefined' && Object.assign(ENV, process.env));
