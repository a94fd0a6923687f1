// Runs in the page: many outputs of one input by the package, without the
// controls.

/** How many outputs are done: the test watches it move. */
export const progress = {done: 0};

async function sha256(file) {
  const digest = new Uint8Array(
      await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function quantize(checkpoint, {request, chunkBytes}, options) {
  const plan = await checkpoint.plan(request);
  try {
    const result = await plan.run({...options, chunkBytes}).result;
    const outputs = [];
    for (const {name, file, sha256: reported} of result.files) {
      const found = await sha256(file);
      if (found !== reported) {
        throw new Error(`${name} is ${found}, not ${reported} as reported`);
      }
      outputs.push([name, found]);
    }
    await result.dispose();
    return {outputs};
  } finally {
    plan.close();
  }
}

/**
 * Makes each case of the files in an `input` element, with these options of a
 * run: [{outputs: [[name, sha256]]} or {error: message}].
 */
export async function runCases(
    {packageUrl, input, main, directory, cases, options}) {
  const {open} = await import(packageUrl);
  const files = [...input.files];
  const checkpoint = await open(
      directory ? files : files[0], main ? {main} : {});
  const found = [];
  try {
    for (const one of cases) {
      found.push(await quantize(checkpoint, one, options).catch(
          (error) => ({error: error.message})));
      ++progress.done;
    }
  } finally {
    checkpoint.close();
  }
  return found;
}
