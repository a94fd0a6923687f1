// Whole recipes under names that need no explanation.

import type {RecipeForm} from './recipe_form';
import {scheme} from './scheme';

export interface Preset {
  id: string;
  name: string;
  help: string;
  apply(form: RecipeForm, plainFormat: string): RecipeForm;
}

function plain(format: string) {
  return (form: RecipeForm, plainFormat: string): RecipeForm => ({
           ...form,
           mode: 'quantize',
           scheme: scheme(format),
           program: '',
           format: plainFormat,
         });
}

function served(format: string, program: string, of = '') {
  return (form: RecipeForm): RecipeForm => ({
           ...form,
           mode: 'quantize',
           scheme: scheme(of),
           program,
           format,
         });
}

export const PRESETS: Preset[] = [
  {
    id: 'safe',
    name: 'Small and safe',
    help: 'INT8. About a quarter of 32-bit weights, hardly any loss.',
    apply: plain('int8'),
  },
  {
    id: 'smallest',
    name: 'Smallest',
    help: 'INT4 in groups. About an eighth; look at the quality afterwards.',
    apply: plain('int4'),
  },
  {
    id: 'half',
    name: 'Half precision',
    help: 'BF16. Half of 32-bit weights, and every program reads it.',
    apply: plain('bf16'),
  },
  {
    id: 'vllm',
    name: 'For vLLM',
    help: 'INT4, in a folder that vLLM serves.',
    apply: served('', 'vllm', 'int4'),
  },
  {
    id: 'transformers',
    name: 'For Transformers',
    help: 'NF4 of bitsandbytes, which QLoRA trains on.',
    apply: served('bitsandbytes', 'transformers', 'nf4'),
  },
];

/** The format that keeps what the input was, as far as it can be written. */
export function plainFormatFor(container: string): string {
  if (container === 'mqir') return 'mqir';
  return /^(torch|pickle)/.test(container) ? 'torch' : 'safetensors';
}

/** The preset that the form is, if it is one. */
export function presetOf(form: RecipeForm, plainFormat: string): string {
  const now =
      JSON.stringify([form.mode, form.scheme, form.program, form.format]);
  const same = PRESETS.find((preset) => {
    const that = preset.apply(form, plainFormat);
    return now ===
        JSON.stringify([that.mode, that.scheme, that.program, that.format]);
  });
  return form.mode === 'quantize' && same !== undefined ? same.id : '';
}
