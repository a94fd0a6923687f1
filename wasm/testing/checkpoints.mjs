// Small checkpoints for the tests of the loader, made byte by byte: not by the
// code that is tested.

/** A tensor: name, safetensors dtype, shape, Uint8Array. */
export function floatTensor(name, shape, seed = 1) {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; ++i) {
    // A small linear congruence: the same numbers on every machine.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = (state - 2 ** 31) / 2 ** 31;
  }
  return {name, dtype: 'F32', shape, bytes: new Uint8Array(values.buffer)};
}

function concatenate(parts) {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const utf8 = (text) => new TextEncoder().encode(text);

function little(value, bytes) {
  const out = new Uint8Array(bytes);
  for (let i = 0; i < bytes; ++i) {
    out[i] = Math.floor(value / 2 ** (8 * i)) % 256;
  }
  return out;
}

/** The head of a safetensors file for tensors with `size` instead of bytes. */
export function safetensorsHead(tensors) {
  const header = {};
  let at = 0;
  for (const {name, dtype, shape, size} of tensors) {
    header[name] = {dtype, shape, data_offsets: [at, at + size]};
    at += size;
  }
  const json = utf8(JSON.stringify(header));
  return concatenate([little(json.length, 8), json]);
}

export function safetensorsFile(tensors) {
  const sized = tensors.map((t) => ({...t, size: t.bytes.length}));
  return concatenate(
      [safetensorsHead(sized), ...tensors.map((t) => t.bytes)]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; ++i) {
      crc = (crc >>> 1) ^ (crc & 1 ? 0xEDB88320 : 0);
    }
  }
  return ~crc >>> 0;
}

// A zip archive of stored members.
function zipFile(members) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [name, bytes] of members) {
    const encoded = utf8(name);
    const common = concatenate([
      little(0, 4), little(0, 2), little(33, 2), little(crc32(bytes), 4),
      little(bytes.length, 4), little(bytes.length, 4),
      little(encoded.length, 2), little(0, 2),
    ]);
    directory.push(concatenate([
      utf8('PK\x01\x02'), little(10, 2), little(10, 2), common, little(0, 2),
      little(0, 2), little(0, 2), little(0, 4), little(at, 4), encoded,
    ]));
    const member = concatenate(
        [utf8('PK\x03\x04'), little(10, 2), common, encoded, bytes]);
    parts.push(member);
    at += member.length;
  }
  const central = concatenate(directory);
  return concatenate([
    ...parts, central, utf8('PK\x05\x06'), little(0, 4),
    little(members.length, 2), little(members.length, 2),
    little(central.length, 4), little(at, 4), little(0, 2),
  ]);
}

const pickleText = (text) => {
  const encoded = utf8(text);
  return concatenate([utf8('X'), little(encoded.length, 4), encoded]);
};
const pickleInt = (value) => concatenate([utf8('J'), little(value, 4)]);
const pickleInts = (values) =>
    concatenate([utf8('('), ...values.map(pickleInt), utf8('t')]);

/** What torch.save writes for {name: float tensor}. */
export function torchFile(tensors) {
  const items = tensors.map(({name, shape}, i) => {
    const strides = shape.map(
        (_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
    const count = shape.reduce((a, b) => a * b, 1);
    return concatenate([
      pickleText(name),
      utf8('ctorch._utils\n_rebuild_tensor_v2\n(('),
      pickleText('storage'),
      utf8('ctorch\nFloatStorage\n'),
      pickleText(String(i)),
      pickleText('cpu'),
      pickleInt(count),
      utf8('tQ'),
      pickleInt(0),
      pickleInts(shape),
      pickleInts(strides),
      new Uint8Array([0x89]),
      utf8('ccollections\nOrderedDict\n)RtR'),
    ]);
  });
  const pickle = concatenate([
    new Uint8Array([0x80, 2]), utf8('}('), ...items, utf8('u.'),
  ]);
  return zipFile([
    ['model/data.pkl', pickle],
    ['model/byteorder', utf8('little')],
    ...tensors.map(({bytes}, i) => [`model/data/${i}`, bytes]),
    ['model/version', utf8('3\n')],
  ]);
}

/** Bytes as a Source; counts what is read. */
export class MemorySource {
  reads = 0;
  constructor(name, bytes) {
    this.name = name;
    this.bytes = bytes;
    this.size = bytes.length;
  }
  readAt(offset, target) {
    ++this.reads;
    const part = this.bytes.subarray(offset, offset + target.length);
    target.set(part);
    return part.length;
  }
}

/** A Source of `size` bytes that are zero behind `head`. */
export class ZeroSource {
  constructor(name, head, size) {
    this.name = name;
    this.head = head;
    this.size = size;
  }
  readAt(offset, target) {
    target.fill(0);
    if (offset < this.head.length) {
      target.set(this.head.subarray(offset, offset + target.length));
    }
    return target.length;
  }
}

/** A Sink in memory that remembers what became of it. */
export class MemorySink {
  state = 'open';
  constructor(size) {
    this.bytes = new Uint8Array(size);
  }
  writeAt(offset, bytes) {
    this.bytes.set(bytes, offset);
  }
  commit() {
    this.state += ' committed';
  }
  abort() {
    this.state += ' aborted';
  }
}
