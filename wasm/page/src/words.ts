// Explanations of terms, in a sentence or two each.

export const HELP: Record<string, string> = {
  scheme:
      'The numbers that weights are stored as. INT8 takes a byte, INT4 and ' +
      'NF4 half of one, BF16 and FP16 two. Fewer bits are smaller and less exact.',
  scale:
      'A stored weight is a small whole number; multiplied by its scale it is ' +
      'the weight again. Scales decide how fine the steps are.',
  granularity: 'How many weights share a scale. Fewer weights a scale means ' +
      'finer steps, and more scales to store. Left open, it is a scale for each ' +
      'output channel with 8 bits, and for small groups with 4.',
  groupSize:
      'How many neighbouring weights of a row share a scale. It has to ' +
      'divide the row. Left open, it is the largest of 128, 64 and 32 that does.',
  symmetric:
      'Symmetric ranges have 0 in the middle, which is what fast kernels ' +
      'want. Asymmetric ones follow the smallest and the largest weight.',
  algorithm: 'How a weight finds its code. Rounding to nearest needs nothing ' +
      'but the weights.',
  format:
      'How the files are laid out. Plain files hold tensors under their own ' +
      'names; model folders are what engines load as they are.',
  program: 'Who will load the output. Weights that it has no use for stay as ' +
      'they are, and each says why.',
  shards: 'Large models are spread over several files. Leave it empty for as ' +
      'many as the input has. Sizes are like 5G or 500M.',
  skip: 'Tensors whose names match stay as they are. * is any run of ' +
      'characters and ? is one, as in *.lm_head.*',
  sqnr:
      'Signal to quantization noise: how much stronger the weights are than ' +
      'the error that rounding made. More is better; 40 dB is typical for INT8, ' +
      '20 dB for INT4, and 6 dB are one bit.',
  nonfinite:
      'What to do with values that are no numbers (NaN) or infinite. They ' +
      'are usually a sign of a damaged checkpoint.',
  minElements: 'Smaller tensors are not worth it: they stay as they are.',
  scaleDtype: 'Rounding scales to 16 bits saves some space and costs next to ' +
      'nothing.',
  doubleQuant: 'Stores the scales themselves in 8 bits, as bitsandbytes can.',
  dtype: 'The type of the weights that are restored.',
  layerTypes:
      'Only weights of these kinds of layers. None chosen means all but ' +
      'embeddings.',
};

export const CHOICE_TEXTS: Record<string, Record<string, string>> = {
  scheme: {
    '': 'Whatever the output is made for',
    int8: 'INT8 — 8 bits, the safe choice',
    int4: 'INT4 — 4 bits, the small choice',
    fp8_e4m3: 'FP8 E4M3 — 8-bit floats, for recent GPUs',
    nf4: 'NF4 — 4 bits, of bitsandbytes and QLoRA',
    bf16: 'BF16 — half precision, wide range',
    fp16: 'FP16 — half precision',
    mxfp4: 'MXFP4 — 4-bit floats, scales are powers of two',
    mxfp8: 'MXFP8 — 8-bit floats, scales are powers of two',
    nvfp4: 'NVFP4 — 4-bit floats, for Blackwell GPUs',
    uint8: 'UINT8 — 8 bits without a sign',
    uint4: 'UINT4 — 4 bits without a sign',
    fp8_e5m2: 'FP8 E5M2 — 8-bit floats, wide range',
    fp4: 'FP4 — 4-bit floats of bitsandbytes',
    fp4_e2m1: 'FP4 E2M1 — 4-bit floats of the OCP',
    llm_int8: 'LLM.int8 — 8 bits, of bitsandbytes',
  },
  granularity: {
    auto: 'What suits the scheme',
    axis: 'Each output channel',
    group: 'Groups of neighbours',
    tensor: 'The whole tensor',
    block: 'Square blocks',
  },
  symmetric: {
    true: 'Symmetric',
    false: 'Asymmetric',
  },
  program: {
    '': 'Any program',
    vllm: 'vLLM',
    sglang: 'SGLang',
    transformers: 'Transformers',
    torch: 'PyTorch (quantize_dynamic)',
  },
  nonfinite: {
    '': 'Stop with an error',
    keep: 'Keep such tensors as they are',
    zero: 'Count such values as 0',
  },
  scaleDtype: {
    '': 'What the output is made for',
    F32: '32-bit floats',
    F16: 'FP16',
    BF16: 'BF16',
    F8_E8M0: 'Powers of two (E8M0)',
    F8_E4M3: 'E4M3, below a global scale',
  },
  dtype: {
    '': 'As they were before',
    F32: 'F32',
    F16: 'F16',
    BF16: 'BF16',
    F64: 'F64',
  },
  mode: {
    quantize: 'Quantize',
    convert: 'Convert',
    dequantize: 'Dequantize',
  },
};

export const MODE_HELP: Record<string, string> = {
  quantize: 'Makes the weights smaller by storing them with fewer bits.',
  convert: 'Writes the same numbers into another kind of file.',
  dequantize: 'Turns quantized weights back into ordinary floats.',
};

export const MODE_VERBS: Record<string, string> = {
  quantize: 'Quantizing',
  convert: 'Converting',
  dequantize: 'Dequantizing',
};
