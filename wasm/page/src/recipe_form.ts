// The recipe as the controls hold it, and as the core takes it.

import type {PlanRequest} from '@monoquant/core';

import {fromRecipe, scheme, toRecipe} from './scheme';
import type {Scheme} from './scheme';

export type Mode = 'quantize'|'convert'|'dequantize';

/** The first that matches a tensor decides. */
export interface Rule {
  /** A glob over the whole name of a tensor. */
  match: string;
  scheme: Scheme;
}

export interface RecipeForm {
  mode: Mode;
  /** With an empty format what the output's format has by itself. */
  scheme: Scheme;
  rules: Rule[];
  onlyRules: boolean;
  /** null is the default of the core. */
  minElements: number|null;
  layerTypes: string[];
  nonfinite: string;
  allowUnmatched: boolean;
  /** '' leaves the choice of the format to it; so does '' of both: an error. */
  format: string;
  program: string;
  maxShardBytes: number|null;
  /** Of dequantized tensors; '' is what they were. */
  dtype: string;
}

export function recipeForm(format: string): RecipeForm {
  return {
    mode: 'quantize',
    scheme: scheme('int8'),
    rules: [],
    onlyRules: false,
    minElements: null,
    layerTypes: [],
    nonfinite: '',
    allowUnmatched: false,
    format,
    program: '',
    maxShardBytes: null,
    dtype: '',
  };
}

/** docs/recipe.md; without what has its default. */
export function toRecipeJson(form: RecipeForm): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  if (form.scheme.format !== '') json['defaults'] = toRecipe(form.scheme);
  if (form.rules.length > 0) {
    json['rules'] =
        form.rules.map((r) => ({match: r.match, scheme: toRecipe(r.scheme)}));
  }
  if (form.onlyRules) json['only_rules'] = true;
  if (form.minElements !== null) json['min_elements'] = form.minElements;
  if (form.layerTypes.length > 0) json['layer_types'] = form.layerTypes;
  if (form.nonfinite !== '') json['nonfinite'] = form.nonfinite;
  if (form.allowUnmatched) json['allow_unmatched'] = true;
  return json;
}

const MEMBERS = [
  'defaults',
  'rules',
  'only_rules',
  'min_elements',
  'layer_types',
  'nonfinite',
  'allow_unmatched',
];

/** The form with another recipe; an Error says what is wrong with it. */
export function withRecipeJson(form: RecipeForm, json: unknown): RecipeForm {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new Error('a recipe is a JSON object');
  }
  const recipe = json as Record<string, unknown>;
  for (const key of Object.keys(recipe)) {
    if (!MEMBERS.includes(key)) {
      throw new Error(`recipes have no member '${key}'`);
    }
  }
  const rules = recipe['rules'] ?? [];
  if (!Array.isArray(rules)) throw new Error('\'rules\' is not a list');
  const number = recipe['min_elements'];
  return {
    ...form,
    mode: 'quantize',
    scheme: recipe['defaults'] === undefined ? scheme('') :
                                               fromRecipe(recipe['defaults']),
    rules: rules.map((rule: unknown) => {
      const {match, scheme: of} = (rule ?? {}) as Record<string, unknown>;
      if (typeof match !== 'string' || match === '') {
        throw new Error('each rule has a \'match\' and a \'scheme\'');
      }
      return {match, scheme: fromRecipe(of)};
    }),
    onlyRules: recipe['only_rules'] === true,
    minElements: typeof number === 'number' ? number : null,
    layerTypes: Array.isArray(recipe['layer_types']) ?
        recipe['layer_types'].map(String) :
        [],
    nonfinite: String(recipe['nonfinite'] ?? ''),
    allowUnmatched: recipe['allow_unmatched'] === true,
  };
}

/** What is asked of the core. */
export function toRequest(form: RecipeForm): PlanRequest {
  const request: PlanRequest = {mode: form.mode};
  if (form.mode === 'quantize') {
    const recipe = toRecipeJson(form);
    // Without one the format's own default applies.
    if (Object.keys(recipe).length > 0) request.recipe = recipe;
  }
  if (form.mode === 'dequantize' && form.dtype !== '') {
    request.dtype = form.dtype as NonNullable<PlanRequest['dtype']>;
  }
  if (form.format !== '') request.format = form.format;
  if (form.program !== '' && form.mode !== 'dequantize') {
    request.for = form.program as NonNullable<PlanRequest['for']>;
  }
  if (form.maxShardBytes !== null) {
    request.max_shard_bytes = form.maxShardBytes;
  }
  return request;
}

/** Whether the match is a name and no pattern. */
export function isName(match: string): boolean {
  return !/[*?]/.test(match);
}

/** The choices that were made for single tensors, by their names. */
export function choicesByName(form: RecipeForm): Map<string, Scheme> {
  const choices = new Map<string, Scheme>();
  for (const {match, scheme: of} of form.rules) {
    if (isName(match) && !choices.has(match)) choices.set(match, of);
  }
  return choices;
}

/** Chooses for tensors by name; null goes back to what the rules say. */
export function withChoice(
    form: RecipeForm, names: readonly string[],
    choice: Scheme|null): RecipeForm {
  const chosen = new Set(names);
  const others = form.rules.filter((r) => !chosen.has(r.match));
  const added =
      choice === null ? [] : names.map((match) => ({match, scheme: choice}));
  // Before all patterns: the first rule that matches decides.
  return {...form, rules: [...added, ...others]};
}

/** Leaves what matches the pattern as it is, but for tensors chosen by name. */
export function withSkip(form: RecipeForm, match: string): RecipeForm {
  const others = form.rules.filter((r) => r.match !== match);
  const first = others.findIndex((r) => !isName(r.match));
  const at = isName(match) ? 0 : first < 0 ? others.length : first;
  return {
    ...form,
    rules: [
      ...others.slice(0, at), {match, scheme: scheme('skip')},
      ...others.slice(at),
    ],
  };
}

export function withoutRule(form: RecipeForm, match: string): RecipeForm {
  return {...form, rules: form.rules.filter((r) => r.match !== match)};
}

const SIZE_UNITS: Record<string, number> = {
  '': 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/**
 * "5G", "500 MB": powers of 1024, as on the command line. null where it is
 * empty, NaN where it is no size.
 */
export function sizeOf(text: string): number|null {
  if (text.trim() === '') return null;
  const found = /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*$/i.exec(text);
  if (found === null) return NaN;
  return Math.round(
      Number(found[1]) * SIZE_UNITS[(found[2] ?? '').toLowerCase()]!);
}
