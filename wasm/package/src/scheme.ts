// Schemes of recipes, in both of their forms (docs/recipe.md).

/** The object form; what is absent follows from the tensor. */
export interface Scheme {
  format: string;
  granularity?: string;
  axis?: number;
  group_size?: number;
  symmetric?: boolean;
  convention?: string;
  scale_dtype?: string;
  double_quant?: boolean;
  observer?: string;
  algorithm?: string;
}

const MEMBERS = [
  'format', 'granularity', 'axis', 'group_size', 'symmetric', 'convention',
  'scale_dtype', 'double_quant', 'observer', 'algorithm',
];

/** Names that stand for a format with its groups and scales. */
const WHOLE_SCHEMES: Record<string, Scheme> = {
  mxfp4: {format: 'fp4_e2m1', granularity: 'group', scale_dtype: 'e8m0'},
  mxfp8: {format: 'fp8_e4m3', granularity: 'group', scale_dtype: 'e8m0'},
  nvfp4: {format: 'fp4_e2m1', granularity: 'group', scale_dtype: 'e4m3'},
};

export function isWholeScheme(format: string): boolean {
  return format in WHOLE_SCHEMES;
}

/** Strings write the types of scales so. */
function scaleTypeName(name: string): string {
  return name.toLowerCase().replace(/^f8_/, '');
}

function parseOption(scheme: Scheme, option: string): boolean {
  const at = option.indexOf('=');
  const key = at < 0 ? option : option.slice(0, at);
  const value = at < 0 ? undefined : option.slice(at + 1);
  const number = value === undefined ? undefined : Number(value);
  if (number !== undefined && ['axis', 'group', 'block'].includes(key) &&
      !/^\d+$/.test(value ?? '')) {
    return false;
  }
  switch (key) {
    case 'tensor':
      scheme.granularity = key;
      return value === undefined;
    case 'axis':
      scheme.granularity = key;
      if (number !== undefined) scheme.axis = number;
      return true;
    case 'group':
    case 'block':
      scheme.granularity = key;
      if (number !== undefined) scheme.group_size = number;
      return true;
    case 'symmetric':
    case 'asymmetric':
      scheme.symmetric = key === 'symmetric';
      return value === undefined;
    case 'double_quant':
      scheme.double_quant = true;
      return value === undefined;
    case 'convention':
    case 'scale_dtype':
    case 'observer':
    case 'algorithm':
      scheme[key] = value;
      return value !== undefined;
    default:
      return false;
  }
}

/**
 * The scheme that a recipe has in either form; null for "skip", undefined for
 * what is none.
 */
export function readScheme(json: unknown): Scheme|null|undefined {
  if (typeof json === 'string') {
    if (json === 'skip') return null;
    const [format = '', ...options] = json.split(',');
    const scheme: Scheme = {format};
    return options.every((option) => parseOption(scheme, option)) ? scheme :
                                                                    undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const scheme = json as Scheme;
  const isKnown = typeof scheme.format === 'string' &&
      Object.keys(scheme).every((key) => MEMBERS.includes(key));
  return isKnown ? scheme : undefined;
}

/** The string form: "int4,group=64,asymmetric". */
export function schemeText(scheme: Scheme): string {
  const parts = [scheme.format];
  const {granularity, axis, group_size: size} = scheme;
  if (granularity === 'axis') {
    parts.push(axis === undefined ? 'axis' : `axis=${axis}`);
  } else if (granularity !== undefined) {
    parts.push(size ? `${granularity}=${size}` : granularity);
  }
  if (scheme.symmetric === false) parts.push('asymmetric');
  if (scheme.convention !== undefined) {
    parts.push(`convention=${scheme.convention}`);
  }
  if (scheme.scale_dtype !== undefined) {
    parts.push(`scale_dtype=${scaleTypeName(scheme.scale_dtype)}`);
  }
  if (scheme.double_quant) parts.push('double_quant');
  if (scheme.observer !== undefined) {
    parts.push(`observer=${scheme.observer}`);
  }
  if (scheme.algorithm !== undefined) {
    parts.push(`algorithm=${scheme.algorithm}`);
  }
  return parts.join(',');
}

/** Equal for schemes that are the same, however they are written. */
export function canonicalScheme(scheme: Scheme): string {
  const whole = WHOLE_SCHEMES[scheme.format];
  const full: Scheme = whole === undefined ? scheme : {...scheme, ...whole};
  return schemeText({
    ...full,
    convention: full.convention ?? 'torch',
    observer: full.observer ?? 'minmax',
    algorithm: full.algorithm ?? 'rtn',
  });
}

/**
 * The flags that state a scheme for all weights; null if there are none that
 * do.
 */
export function schemeFlags(scheme: Scheme): string[]|null {
  if ((scheme.observer ?? 'minmax') !== 'minmax') return null;
  if ((scheme.algorithm ?? 'rtn') !== 'rtn') return null;
  const flags = ['--type', scheme.format];
  const {granularity, axis, group_size: size} = scheme;
  if (granularity === 'axis') {
    // Without a number it is that of each layer's output channels.
    flags.push(...(axis === undefined ? ['--granularity', 'axis'] :
                                        ['--axis', String(axis)]));
  } else if (granularity !== undefined && !(granularity === 'group' && size)) {
    flags.push('--granularity', granularity);
  }
  if (size) flags.push('--group-size', String(size));
  if (scheme.symmetric === false) flags.push('--scheme', 'asymmetric');
  if ((scheme.convention ?? 'torch') !== 'torch') {
    flags.push('--convention', scheme.convention ?? '');
  }
  if (scheme.scale_dtype !== undefined) {
    flags.push('--scale-dtype', scaleTypeName(scheme.scale_dtype));
  }
  if (scheme.double_quant) flags.push('--double-quant');
  return flags;
}
