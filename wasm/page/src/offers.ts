// Which choices of the recipe the core would refuse, and why.
//
// Nothing here knows a rule of any format. Each choice is planned as a
// variation of the recipe; what the core says of it is the reason.

import type {Checkpoint, PlanInfo} from '@monoquant/core';

import {failureOf, isAbort} from './failure';
import {toRequest} from './recipe_form';
import type {RecipeForm} from './recipe_form';
import type {PlannedTensor} from './rows';
import {FORMATS, withFormat, withGranularity} from './scheme';
import type {Granularity} from './scheme';

export type Field = 'scheme'|'granularity'|'symmetric'|'format'|'program';

/** For each choice of a field: why it is not possible, '' if it is. */
export type Offers = Record<Field, ReadonlyMap<string, string>>;

export const NO_OFFERS: Offers = {
  scheme: new Map(),
  granularity: new Map(),
  symmetric: new Map(),
  format: new Map(),
  program: new Map(),
};

export const GRANULARITIES: Granularity[] =
    ['auto', 'axis', 'group', 'tensor', 'block'];
export const PROGRAMS = ['', 'vllm', 'sglang', 'transformers', 'torch'];

export interface Variation {
  field: Field;
  value: string;
  form: RecipeForm;
}

export function variations(
    form: RecipeForm, formats: readonly string[]): Variation[] {
  const list: Variation[] = [];
  const add = (field: Field, value: string, change: Partial<RecipeForm>) => {
    list.push({field, value, form: {...form, ...change}});
  };
  if (form.mode === 'quantize') {
    for (const value of FORMATS) {
      add('scheme', value, {scheme: withFormat(form.scheme, value)});
    }
    for (const value of GRANULARITIES) {
      add('granularity', value, {scheme: withGranularity(form.scheme, value)});
    }
    for (const value of [true, false]) {
      add('symmetric', String(value), {
        scheme: {...form.scheme, symmetric: value},
      });
    }
  }
  for (const value of formats) add('format', value, {format: value});
  // What a program loads is the question here, not what the format was before.
  if (form.mode !== 'dequantize') {
    for (const value of PROGRAMS) add('program', value, {program: value});
  }
  return list;
}

/**
 * Why a plan is no answer to the recipe although there is one: it leaves every
 * weight as it is. '' if it does something.
 */
export function emptyReason(form: RecipeForm, info: PlanInfo): string {
  if (form.mode !== 'quantize') return '';
  const tensors = info.plan.tensors as PlannedTensor[];
  if (tensors.some((t) => t.action === 'quantize')) return '';
  const refused =
      tensors.find((t) => /has no place for|does not/.test(t.reason));
  return refused?.reason ?? '';
}

/**
 * Plans the variations one after the other, and tells of each reason. Stops
 * when the signal says so; the plan of the recipe itself has to come first.
 */
export async function findOffers(
    checkpoint: Checkpoint, list: readonly Variation[], signal: AbortSignal,
    tell: (field: Field, value: string, reason: string) =>
        void): Promise<void> {
  for (const {field, value, form} of list) {
    let reason = '';
    try {
      // Weights are not read for this, whatever the recipe says of NaN.
      const plan =
          await checkpoint.plan(toRequest({...form, nonfinite: ''}), {signal});
      reason = emptyReason(form, plan.info);
      plan.close();
    } catch (error) {
      if (isAbort(error)) return;
      const {message, advice} = failureOf('', error);
      reason = `${message} ${advice}`.trim();
    }
    if (signal.aborted) return;
    tell(field, value, reason);
  }
}
