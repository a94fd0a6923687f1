// A small checkpoint to try the page with, made on the spot.

const LAYERS = 3;
const WIDTH = 256;

function shapes(): [string, number[]][] {
  const list: [string, number[]][] =
      [['model.embed_tokens.weight', [512, WIDTH]]];
  for (let i = 0; i < LAYERS; ++i) {
    const layer = `model.layers.${i}`;
    list.push([`${layer}.input_layernorm.weight`, [WIDTH]]);
    for (const name of ['q_proj', 'k_proj', 'v_proj', 'o_proj']) {
      list.push([`${layer}.self_attn.${name}.weight`, [WIDTH, WIDTH]]);
    }
    list.push([`${layer}.post_attention_layernorm.weight`, [WIDTH]]);
    list.push([`${layer}.mlp.gate_proj.weight`, [2 * WIDTH, WIDTH]]);
    list.push([`${layer}.mlp.up_proj.weight`, [2 * WIDTH, WIDTH]]);
    list.push([`${layer}.mlp.down_proj.weight`, [WIDTH, 2 * WIDTH]]);
  }
  list.push(['model.norm.weight', [WIDTH]]);
  list.push(['lm_head.weight', [512, WIDTH]]);
  return list;
}

/** A safetensors file of about 9 MB: the same numbers every time. */
export function exampleFile(): File {
  const header: Record<string, unknown> = {};
  const list = shapes();
  let at = 0;
  for (const [name, shape] of list) {
    const size = 4 * shape.reduce((a, b) => a * b, 1);
    header[name] = {dtype: 'F32', shape, data_offsets: [at, at + size]};
    at += size;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(text.length / 8) * 8;
  const head = new Uint8Array(8 + padded).fill(0x20);
  head.set(text, 8);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  return new File(
      [head, weights(list, at / 4)], 'example.safetensors',
      {type: 'application/octet-stream'});
}

// Values with the bell shape of real weights: a sum of four equal chances has
// nearly that. Norms are close to 1, and each layer has a few outliers.
function weights(
    list: [string, number[]][], count: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  let state = 2463534242;
  const chance = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  let at = 0;
  list.forEach(([name, shape], layer) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const norm = name.includes('norm');
    const spread = norm ? 0.02 : 0.02 * (1 + 0.5 * Math.sin(layer));
    for (let i = 0; i < size; ++i, ++at) {
      const bell = chance() + chance() + chance() + chance() - 2;
      const outlier = !norm && chance() < 2e-4 ? 4 : 1;
      values[at] = (norm ? 1 : 0) + bell * spread * outlier * 1.7;
    }
  });
  return values;
}
