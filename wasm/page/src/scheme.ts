// Schemes as the controls hold them, as recipes have them, and in words.

import {readScheme} from '@monoquant/core';
import type {Scheme as SchemeJson} from '@monoquant/core';

export type {SchemeJson};

export type Granularity = 'auto'|'tensor'|'axis'|'group'|'block';

/** Everything that a recipe can say of how a tensor is quantized. */
export interface Scheme {
  /** A number format or a whole scheme, 'skip', or '' for the default. */
  format: string;
  granularity: Granularity;
  axis: number|null;
  /** Of groups, or the side of a block; null leaves it open. */
  groupSize: number|null;
  /** null leaves it open, which is symmetric. */
  symmetric: boolean|null;
  convention: string;
  /** As in recipes of objects: 'F16'. */
  scaleDtype: string;
  doubleQuant: boolean;
  observer: string;
  algorithm: string;
}

export const INTEGERS = ['int8', 'uint8', 'int4', 'uint4'];
export const CASTS = ['fp16', 'bf16'];
export const WHOLE = ['mxfp4', 'mxfp8', 'nvfp4'];

/** Every format, in the order in which it is offered. */
export const FORMATS = [
  'int8',
  'int4',
  'fp8_e4m3',
  'nf4',
  'bf16',
  'fp16',
  'mxfp4',
  'mxfp8',
  'nvfp4',
  'uint8',
  'uint4',
  'fp8_e5m2',
  'fp4',
  'fp4_e2m1',
  'llm_int8',
];

// Texts write the types of scales so, objects as safetensors does.
const SCALE_DTYPES: Record<string, string> = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  e8m0: 'F8_E8M0',
  e4m3: 'F8_E4M3',
};

export function scheme(format: string): Scheme {
  return {
    format,
    granularity: 'auto',
    axis: null,
    groupSize: null,
    symmetric: null,
    convention: '',
    scaleDtype: '',
    doubleQuant: false,
    observer: '',
    algorithm: '',
  };
}

/** Which of the choices below the format make sense for it. */
export function choicesOf(format: string) {
  const scaled = format !== '' && format !== 'skip' &&
      !CASTS.includes(format) && !WHOLE.includes(format) &&
      format !== 'llm_int8';
  return {
    granularity: scaled,
    symmetric: INTEGERS.includes(format),
    convention: INTEGERS.includes(format),
    scaleDtype: scaled,
    doubleQuant: format === 'nf4' || format === 'fp4',
  };
}

/** The same choices for another format, without those it does not have. */
export function withFormat(from: Scheme, format: string): Scheme {
  const choices = choicesOf(format);
  const next = {...from, format};
  if (!choices.granularity) {
    next.granularity = 'auto';
    next.axis = null;
    next.groupSize = null;
  }
  if (!choices.symmetric) next.symmetric = null;
  if (!choices.convention) next.convention = '';
  if (!choices.scaleDtype) next.scaleDtype = '';
  if (!choices.doubleQuant) next.doubleQuant = false;
  if (!choices.granularity) {
    next.algorithm = '';
    next.observer = '';
  }
  // Powers of two are for floats, and NVFP4's scales for its numbers.
  if (INTEGERS.includes(format) && /^F8/.test(next.scaleDtype)) {
    next.scaleDtype = '';
  }
  return next;
}

/** The same format with another granularity. */
export function withGranularity(
    from: Scheme, granularity: Granularity): Scheme {
  return {
    ...from,
    granularity,
    axis: granularity === 'axis' ? from.axis : null,
    groupSize: granularity === 'group' || granularity === 'block' ?
        from.groupSize :
        null,
  };
}

/** What a recipe says: a string where nothing but the format is chosen. */
export function toRecipe(from: Scheme): string|SchemeJson {
  const json: SchemeJson = {format: from.format};
  if (from.granularity !== 'auto') json.granularity = from.granularity;
  if (from.axis !== null) json.axis = from.axis;
  if (from.groupSize !== null) {
    json.granularity ??= 'group';
    json.group_size = from.groupSize;
  }
  if (from.symmetric !== null) json.symmetric = from.symmetric;
  if (from.convention !== '') json.convention = from.convention;
  if (from.scaleDtype !== '') json.scale_dtype = from.scaleDtype;
  if (from.doubleQuant) json.double_quant = true;
  if (from.observer !== '') json.observer = from.observer;
  if (from.algorithm !== '') json.algorithm = from.algorithm;
  return Object.keys(json).length === 1 ? from.format : json;
}

/** Reads either spelling. What is none is an Error with the text. */
export function fromRecipe(from: unknown): Scheme {
  const read = readScheme(from);
  if (read === null) return scheme('skip');
  if (read === undefined) {
    throw new Error(`${JSON.stringify(from)} is not a scheme`);
  }
  const scaleDtype = read.scale_dtype ?? '';
  return {
    format: read.format,
    granularity: read.granularity === undefined ?
        'auto' :
        granularityOf(read.granularity),
    axis: read.axis ?? null,
    groupSize: read.group_size || null,
    symmetric: read.symmetric ?? null,
    convention: read.convention ?? '',
    scaleDtype: SCALE_DTYPES[scaleDtype] ?? scaleDtype,
    doubleQuant: read.double_quant ?? false,
    observer: read.observer ?? '',
    algorithm: read.algorithm ?? '',
  };
}

function granularityOf(text: string): Granularity {
  if (text === 'channel') return 'axis';
  if (['tensor', 'axis', 'group', 'block'].includes(text)) {
    return text as Granularity;
  }
  throw new Error(`unknown granularity '${text}'`);
}

/** "INT4 · groups of 128 · asymmetric" */
export function schemeText(from: SchemeJson): string {
  const parts = [formatText(from.format)];
  switch (from.granularity) {
    case 'tensor':
      parts.push('one scale');
      break;
    case 'axis':
      parts.push(from.axis === 0 ? 'per channel' : `axis ${from.axis}`);
      break;
    case 'group':
      parts.push(`groups of ${from.group_size}`);
      break;
    case 'block':
      parts.push(`blocks of ${from.group_size}`);
      break;
  }
  if (from.symmetric === false) parts.push('asymmetric');
  return parts.join(' · ');
}

const FORMAT_TEXTS: Record<string, string> = {
  llm_int8: 'LLM.int8',
  fp8_e4m3: 'FP8 E4M3',
  fp8_e5m2: 'FP8 E5M2',
  fp4_e2m1: 'FP4 E2M1',
  skip: 'stays as it is',
};

export function formatText(format: string): string {
  return FORMAT_TEXTS[format] ?? format.toUpperCase();
}
