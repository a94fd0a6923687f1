// The tensors as the table shows them: what is found, and in which order.

import type {TensorInfo} from '@monoquant/core';

import {schemeText} from './scheme';
import type {SchemeJson} from './scheme';

/** A tensor of the plan, docs/schemas/plan.json. */
export interface PlannedTensor {
  name: string;
  action: 'copy'|'quantize'|'tie';
  reason: string;
  tied_to?: string;
  scheme?: SchemeJson;
  outputs: {name: string, dtype: string, shape: number[], bytes: number}[];
}

/** Of a checkpoint that is quantized already, docs/schemas/inspect.json. */
export interface Quantization {
  version: string|null;
  tensors: {name: string, scheme: SchemeJson}[];
}

export interface Row {
  tensor: TensorInfo;
  /** Place in the file. */
  order: number;
  /** What it is stored as where it is quantized already; '' where it is not. */
  stored: string;
  /** null until there is a plan, and for what belongs to another tensor. */
  planned: PlannedTensor|null;
  /** Bytes in the output; null until there is a plan. */
  newBytes: number|null;
  /** What it becomes, in words. */
  becomes: string;
}

export type SortKey = 'order'|'name'|'dtype'|'bytes'|'becomes'|'newBytes';

export interface Filter {
  /** A part of the name, in any case, or a /regular expression/. */
  text: string;
  /** Empty for all. */
  dtypes: ReadonlySet<string>;
  action: ''|'quantize'|'copy';
}

export interface Sort {
  key: SortKey;
  descending: boolean;
}

/**
 * Only floats are quantized, and have histograms: also those stored as codes.
 */
export function isFloat({tensor, stored}: Row): boolean {
  return stored !== '' || /^(F|BF)\d/.test(tensor.dtype);
}

export function rowsOf(
    tensors: readonly TensorInfo[], planned: readonly PlannedTensor[]|null,
    stored: ReadonlyMap<string, SchemeJson> = new Map()): Row[] {
  // Plans have the floats of a quantized checkpoint, and no scales.
  const plans = new Map(planned?.map((plan) => [plan.name, plan]));
  return tensors.map((tensor, order) => {
    const plan = plans.get(tensor.name) ?? null;
    const scheme = stored.get(tensor.name);
    return {
      tensor,
      order,
      stored: scheme === undefined ? '' : schemeText(scheme),
      planned: plan,
      newBytes: plan === null ?
          null :
          plan.outputs.reduce((sum, o) => sum + o.bytes, 0),
      becomes: plan === null ? '' : becomesText(tensor, plan),
    };
  });
}

function becomesText(tensor: TensorInfo, plan: PlannedTensor): string {
  switch (plan.action) {
    case 'quantize':
      return plan.scheme === undefined ? 'quantized' : schemeText(plan.scheme);
    case 'tie':
      return 'shared';
    case 'copy':
      return plan.outputs.length === 1 &&
              plan.outputs[0]!.dtype !== tensor.dtype ?
          plan.outputs[0]!.dtype :
          'as it is';
  }
}

/** A test for names; an Error says what is wrong with the expression. */
export function matcher(text: string): (name: string) => boolean {
  const found = /^\/(.*)\/([a-z]*)$/.exec(text.trim());
  if (found !== null) {
    const flags = (found[2] ?? '').replace(/[gy]/g, '');
    const expression = new RegExp(found[1] ?? '', flags);
    return (name) => expression.test(name);
  }
  const part = text.trim().toLowerCase();
  return (name) => name.toLowerCase().includes(part);
}

export function filterRows(rows: readonly Row[], filter: Filter): Row[] {
  const matches = matcher(filter.text);
  return rows.filter(
      ({tensor, planned}) => matches(tensor.name) &&
          (filter.dtypes.size === 0 || filter.dtypes.has(tensor.dtype)) &&
          (filter.action === '' ||
           (planned?.action === 'quantize') ===
               (filter.action === 'quantize')));
}

const VALUES: Record<SortKey, (row: Row) => string | number> = {
  order: (row) => row.order,
  name: (row) => row.tensor.name,
  dtype: (row) => row.tensor.dtype,
  bytes: (row) => row.tensor.bytes,
  becomes: (row) => row.becomes,
  newBytes: (row) => row.newBytes ?? 0,
};

/**
 * A text that sorts as people read names: layer 2 before layer 10. Made once
 * for each name, where a collator would look at both of them for each
 * comparison.
 */
function natural(text: string): string {
  return text.toLowerCase().replace(
      /\d+/g, (digits) => digits.padStart(9, '0'));
}

/** Equal ones stay in the order of the file. */
export function sortRows(rows: readonly Row[], sort: Sort): Row[] {
  const value = VALUES[sort.key];
  const sign = sort.descending ? -1 : 1;
  const keyed = rows.map((row) => {
    const key = value(row);
    return {row, key: typeof key === 'string' ? natural(key) : key};
  });
  keyed.sort(
      (a, b) => (a.key < b.key     ? -sign :
                     a.key > b.key ? sign :
                                     0) ||
          a.row.order - b.row.order);
  return keyed.map(({row}) => row);
}

/** The types that there are and how many of each, most first. */
export function dtypeCounts(tensors: readonly TensorInfo[]):
    [string, number][] {
  const counts = new Map<string, number>();
  for (const {dtype} of tensors)
    counts.set(dtype, (counts.get(dtype) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** Elements of all tensors; shared ones count once. */
export function parameterCount(tensors: readonly TensorInfo[]): number {
  return tensors.reduce(
      (sum, t) =>
          sum + (t.tie === undefined ? t.shape.reduce((a, b) => a * b, 1) : 0),
      0);
}
