// A worker that only reads a file, as the package does: pieces of 8 MiB, and a
// turn for the browser after each.

const CHUNK = 8 << 20;

const {port1, port2} = new MessageChannel();

function turn() {
  return new Promise((resolve) => {
    port1.onmessage = resolve;
    port2.postMessage(null);
  });
}

self.onmessage = async ({data: {file, part, parts}}) => {
  const reader = new FileReaderSync();
  const begin = Math.floor(file.size * part / parts);
  const end = Math.floor(file.size * (part + 1) / parts);
  let read = 0;
  for (let at = begin; at < end; at += CHUNK) {
    read += reader.readAsArrayBuffer(
        file.slice(at, Math.min(end, at + CHUNK))).byteLength;
    self.postMessage({read});
    await turn();
  }
  self.postMessage({read, done: true});
};
