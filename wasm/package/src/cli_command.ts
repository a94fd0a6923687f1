// The command line that gives the same bytes as a plan's request (docs/cli.md).

import {makeError} from './errors.js';
import {
  canonicalScheme, readScheme, schemeFlags, schemeText, type Scheme,
} from './scheme.js';
import {flagWords, pathWord, quoteWord} from './shell.js';
import type {OpenOptions, PlanRequest} from './types.js';

export interface CliNames {
  /** The file or directory. */
  input: string;
  /**
   * It gets the extension of its format, or a slash at its end, where the
   * command line would not see otherwise whether a file or a directory is
   * meant.
   */
  output: string;
  /**
   * Where the recipe is already, should one be needed. Without it the line
   * writes the recipe first.
   */
  recipe?: string;
}

/** What of open() changes what is read. */
export type CliOptions = Pick<OpenOptions, 'root'|'allowOpaque'|'asStored'>;

/** Longer lines have a recipe file. */
const MAX_FLAGS = 4000;

const EXTENSIONS: Record<string, string[]> = {
  'torch': ['pt', 'pth', 'bin'],
  'safetensors': ['safetensors'],
  'mqir': ['mqir'],
  'torch-ao': ['pt', 'pth', 'bin'],
};

/** Formats that are always a directory. */
const DIRECTORIES =
    ['compressed-tensors', 'gptq', 'awq', 'fp8', 'bitsandbytes', 'torchao'];

function extensionOf(path: string): string {
  return /[^/]\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? '';
}

function hasKnownExtension(path: string): boolean {
  return Object.values(EXTENSIONS).flat().includes(extensionOf(path));
}

/** The format that the request names, or that its program does. */
function formatOf(request: PlanRequest): string {
  if (request.format !== undefined) return request.format;
  return request.for === 'torch' ? 'torch-ao' : 'compressed-tensors';
}

function isDirectory(request: PlanRequest): boolean {
  return DIRECTORIES.includes(formatOf(request)) ||
      (request.max_shard_bytes ?? 0) > 0;
}

function outputPath(request: PlanRequest, name: string): string {
  if (isDirectory(request)) return hasKnownExtension(name) ? `${name}/` : name;
  if (hasKnownExtension(name)) return name;
  const [extension] = EXTENSIONS[formatOf(request)] ?? [];
  const bare = name.replace(/\/+$/, '');
  return extension === undefined ? bare : `${bare}.${extension}`;
}

/** Whether the extension says it all, so that --to is not needed. */
function extensionSaysFormat(request: PlanRequest, path: string): boolean {
  if (request.mode === 'convert' || request.for !== undefined) return false;
  if (isDirectory(request)) return false;
  const first = Object.entries(EXTENSIONS)
                    .find(([, all]) => all.includes(extensionOf(path)));
  return first?.[0] === request.format;
}

function sizeText(bytes: number): string {
  for (const [unit, size] of [['G', 2 ** 30], ['M', 2 ** 20], ['K', 2 ** 10]] as
       const) {
    if (bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}

function formatFlags(request: PlanRequest, path: string): string[] {
  const words: string[] = [];
  if (request.format !== undefined && !extensionSaysFormat(request, path)) {
    words.push(...flagWords('--to', request.format));
  }
  if (request.for !== undefined) words.push(...flagWords('--for', request.for));
  if (request.max_shard_bytes) {
    words.push('--max-shard-size', sizeText(request.max_shard_bytes));
  }
  return words;
}

interface RuleJson {
  match?: unknown;
  scheme?: unknown;
}

interface RecipeJson {
  defaults?: unknown;
  rules?: unknown;
  only_rules?: unknown;
  min_elements?: unknown;
  layer_types?: unknown;
  nonfinite?: unknown;
  allow_unmatched?: unknown;
}

const RECIPE_MEMBERS = [
  'defaults', 'rules', 'only_rules', 'min_elements', 'layer_types',
  'nonfinite', 'allow_unmatched',
];

/** Whether a rule is what --only makes: the defaults for what it matches. */
function isOnly(
    {scheme: json}: RuleJson, defaults: Scheme, onlyRules: boolean): boolean {
  const scheme = readScheme(json);
  return onlyRules && !!scheme &&
      canonicalScheme(scheme) === canonicalScheme(defaults);
}

/** The flag for a rule; null if there is none that says the same. */
function ruleFlag(rule: RuleJson, only: boolean): string[]|null {
  const {match} = rule;
  if (typeof match !== 'string' || match === '') return null;
  const scheme = readScheme(rule.scheme);
  if (scheme === undefined) return null;
  if (scheme === null) return flagWords('--skip', match);
  if (only) return flagWords('--only', match);
  // The flag is split at the first one.
  if (match.includes('=')) return null;
  return flagWords('--rule', `${match}=${schemeText(scheme)}`);
}

/** Flags that say all of a recipe, in their order; null if there are none. */
function recipeFlags(recipe: RecipeJson): string[]|null {
  if (!Object.keys(recipe).every((key) => RECIPE_MEMBERS.includes(key))) {
    return null;
  }
  const defaults = readScheme(recipe.defaults ?? 'int8');
  const rules = recipe.rules ?? [];
  const onlyRules = recipe.only_rules === true;
  if (!defaults || !Array.isArray(rules)) return null;
  const flags = schemeFlags(defaults);
  if (flags === null) return null;
  const words = flags.map(quoteWord);
  let anyOnly = false;
  for (const rule of rules as RuleJson[]) {
    const only = isOnly(rule, defaults, onlyRules);
    const flag = ruleFlag(rule, only);
    if (flag === null) return null;
    words.push(...flag);
    anyOnly ||= only;
  }
  // It comes with --only, and with that alone.
  if (onlyRules && !anyOnly) return null;
  const {min_elements: elements, layer_types: types, nonfinite} = recipe;
  if (elements !== undefined) words.push('--min-elements', String(elements));
  if (types !== undefined && !Array.isArray(types)) return null;
  if (Array.isArray(types) && types.length > 0) {
    words.push(...flagWords('--layer-types', types.join(',')));
  }
  if (nonfinite !== undefined) {
    words.push(...flagWords('--nonfinite', String(nonfinite)));
  }
  if (recipe.allow_unmatched === true) words.push('--allow-unmatched');
  return words.join(' ').length > MAX_FLAGS ? null : words;
}

/** Beside the output, and named like it. */
function recipeName(output: string): string {
  const bare = output.replace(/\/+$/, '');
  const stem = hasKnownExtension(bare) ?
      bare.slice(0, -extensionOf(bare).length - 1) :
      bare;
  return `${stem}.recipe.json`;
}

/**
 * The line for a POSIX shell that writes the same bytes as a run of a plan of
 * `request`: flags where they can say it, else a recipe file, which the line
 * writes first. `options` are those that the checkpoint was opened with.
 */
export function cliCommand(
    request: PlanRequest, names: CliNames, options: CliOptions = {}): string {
  const mode = request.mode ?? 'quantize';
  if (options.asStored && mode !== 'convert') {
    throw makeError(
        'UsageError',
        `the command line has no way to ${mode} codes and scales as they are ` +
            'stored; open the checkpoint without asStored');
  }
  const output = outputPath(request, names.output);
  const words =
      ['monoquant', mode, pathWord(names.input), '-o', pathWord(output)];
  if (options.root !== undefined) {
    words.push(...flagWords('--root', options.root));
  }
  if (options.allowOpaque) words.push('--allow-opaque');
  if (options.asStored) words.push('--as-stored');
  words.push(...formatFlags(request, output));
  if (request.dtype !== undefined) {
    words.push(...flagWords('--dtype', request.dtype));
  }
  if (request.recipe === undefined) return words.join(' ');

  const flags = recipeFlags(request.recipe as RecipeJson);
  if (flags !== null) return [...words, ...flags].join(' ');
  const file = pathWord(names.recipe ?? recipeName(output));
  words.push('--recipe', file);
  const line = words.join(' ');
  if (names.recipe !== undefined) return line;
  const json = quoteWord(JSON.stringify(request.recipe));
  return `printf '%s\\n' ${json} > ${file} && ${line}`;
}
