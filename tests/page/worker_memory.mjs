// How much memory WebAssembly has in the workers of a page. No interface of a
// browser tells it, so the worker's script is served with a line before it that
// remembers every instance.

const PRELUDE = `{
  const {instantiate} = WebAssembly;
  self.monoquantMemories = [];
  WebAssembly.instantiate = async (...given) => {
    const made = await instantiate.apply(WebAssembly, given);
    self.monoquantMemories.push((made.instance ?? made).exports.memory);
    return made;
  };
}
`;

/** Options of Browser.open and withPage with which wasmBytes works. */
export const WATCH_MEMORY = {
  rewrite: (name, bytes) => /\/worker[^/]*\.js$/.test(name) ?
      Buffer.concat([Buffer.from(PRELUDE), bytes]) :
      bytes,
  // It would refuse a script that is not the one that it was built with.
  serviceWorkers: 'block',
};

/** The memory that WebAssembly has in each worker of a tab: [bytes]. */
export async function wasmBytes({page}) {
  const sizeOf = (worker) => worker.evaluate(
      () => Math.max(0, ...(self.monoquantMemories ?? []).map(
          ({buffer}) => buffer.byteLength)));
  // A worker may end while it is asked.
  return Promise.all(
      page.workers().map((worker) => sizeOf(worker).catch(() => 0)));
}
