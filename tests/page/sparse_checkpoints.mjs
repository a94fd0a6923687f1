// Checkpoints of any size that take little room: the weights are mostly holes
// of the file, which read as zeros. With `full` they are values all through, as
// a benchmark wants them: zeros are not what weights are, and take another time.

import * as fs from 'node:fs';

const ROWS = 4096;
const COLUMNS = 2752;
const TENSOR_BYTES = 4 * ROWS * COLUMNS;

/** What is not zero: the beginning and the end of each tensor. */
function someValues(seed, count = 4 * COLUMNS) {
  const values = new Float32Array(count);
  let state = seed + 1;
  for (let i = 0; i < values.length; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = (state - 2 ** 31) / 2 ** 34;
  }
  return new Uint8Array(values.buffer);
}

function names(bytes) {
  const count = Math.max(1, Math.round(bytes / TENSOR_BYTES));
  return Array.from(
      {length: count}, (_, i) => `model.layers.${i}.mlp.up_proj.weight`);
}

function writeTensor(file, at, seed, full) {
  const values = someValues(seed, full ? TENSOR_BYTES / 4 : undefined);
  fs.writeSync(file, values, 0, values.length, at);
  const last = at + TENSOR_BYTES - values.length;
  if (!full) fs.writeSync(file, values, 0, values.length, last);
}

/** A safetensors file of about so many bytes. */
export function writeSparseSafetensors(path, bytes, {full = false} = {}) {
  const header = {};
  names(bytes).forEach((name, i) => {
    header[name] = {
      dtype: 'F32', shape: [ROWS, COLUMNS],
      data_offsets: [i * TENSOR_BYTES, (i + 1) * TENSOR_BYTES],
    };
  });
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  const file = fs.openSync(path, 'w');
  fs.writeSync(file, Buffer.concat([size, text]));
  const begin = 8 + text.length;
  const count = Object.keys(header).length;
  fs.ftruncateSync(file, begin + count * TENSOR_BYTES);
  for (let i = 0; i < count; ++i) {
    writeTensor(file, begin + i * TENSOR_BYTES, i, full);
  }
  fs.closeSync(file);
}

function integer(bytes, value) {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value));
  else buffer.writeUIntLE(value, 0, bytes);
  return buffer;
}

const pickleText = (text) => Buffer.concat(
    [Buffer.from('X'), integer(4, Buffer.byteLength(text)), Buffer.from(text)]);
const pickleInt = (value) => Buffer.concat(
    [Buffer.from('J'), integer(4, value)]);

// What torch.save pickles of {name: float tensor of its own storage}.
function pickle(tensors) {
  const items = tensors.map((name, i) => Buffer.concat([
    pickleText(name), Buffer.from('ctorch._utils\n_rebuild_tensor_v2\n(('),
    pickleText('storage'), Buffer.from('ctorch\nFloatStorage\n'),
    pickleText(String(i)), pickleText('cpu'), pickleInt(ROWS * COLUMNS),
    Buffer.from('tQ'), pickleInt(0),
    Buffer.from('('), pickleInt(ROWS), pickleInt(COLUMNS), Buffer.from('t'),
    Buffer.from('('), pickleInt(COLUMNS), pickleInt(1), Buffer.from('t'),
    Buffer.from([0x89]), Buffer.from('ccollections\nOrderedDict\n)RtR'),
  ]));
  return Buffer.concat([
    Buffer.from([0x80, 2]), Buffer.from('}('), ...items, Buffer.from('u.')]);
}

/** What torch.save writes, of about so many bytes: a zip64 archive. */
export function writeSparseTorchZip(path, bytes, {full = false} = {}) {
  const tensors = names(bytes);
  const members = [
    {name: 'model/data.pkl', data: pickle(tensors)},
    {name: 'model/byteorder', data: Buffer.from('little')},
    ...tensors.map((_, i) => ({name: `model/data/${i}`, size: TENSOR_BYTES})),
    {name: 'model/version', data: Buffer.from('3\n')},
  ];
  const file = fs.openSync(path, 'w');
  const directory = [];
  let at = 0;
  let tensor = 0;
  for (const {name, data, size = data.length} of members) {
    const encoded = Buffer.from(name);
    // Flags, method, time, date, and a CRC-32 that readers of weights do not
    // look at.
    const common = Buffer.concat([
      integer(2, 0), integer(2, 0), integer(2, 0), integer(2, 33),
      integer(4, 0),
    ]);
    // The data of each member begins at a multiple of 64 bytes, by a field of
    // padding: "FB", as torch writes it.
    const fixed = 30 + encoded.length + 4;
    const padding = (64 - (at + fixed) % 64) % 64;
    const header = Buffer.concat([
      Buffer.from('PK\x03\x04'), integer(2, 45), common, integer(4, size),
      integer(4, size), integer(2, encoded.length), integer(2, 4 + padding),
      encoded, Buffer.from('FB'), integer(2, padding),
      Buffer.alloc(padding, 'Z'),
    ]);
    // The offset of a member is in a field of 64 bits behind its name.
    directory.push(Buffer.concat([
      Buffer.from('PK\x01\x02'), integer(2, 45), integer(2, 45), common,
      integer(4, size), integer(4, size), integer(2, encoded.length),
      integer(2, 12), integer(2, 0), integer(2, 0), integer(2, 0),
      integer(4, 0), integer(4, 0xFFFFFFFF), encoded, integer(2, 1),
      integer(2, 8), integer(8, at),
    ]));
    fs.writeSync(file, header, 0, header.length, at);
    at += header.length;
    if (data) fs.writeSync(file, data, 0, data.length, at);
    else writeTensor(file, at, tensor++, full);
    at += size;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.concat([
    central,
    Buffer.from('PK\x06\x06'), integer(8, 44), integer(2, 45), integer(2, 45),
    integer(4, 0), integer(4, 0), integer(8, members.length),
    integer(8, members.length), integer(8, central.length), integer(8, at),
    Buffer.from('PK\x06\x07'), integer(4, 0), integer(8, at + central.length),
    integer(4, 1),
    Buffer.from('PK\x05\x06'), integer(4, 0), integer(2, 0xFFFF),
    integer(2, 0xFFFF), integer(4, 0xFFFFFFFF), integer(4, 0xFFFFFFFF),
    integer(2, 0),
  ]);
  fs.writeSync(file, end, 0, end.length, at);
  fs.closeSync(file);
}
