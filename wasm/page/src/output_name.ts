// Under which names files are saved.

import type {About, PlanInfo} from '@monoquant/core';

import type {RecipeForm} from './recipe_form';

const EXTENSION =
    /\.(safetensors|pt|pth|bin|ckpt|pt2|ptl|mqir|pkl|pickle|json)$/i;

/** "model.pt" as INT8 is "model-int8.pt"; a directory is "model-int8". */
export function outputName(
    inputName: string, form: RecipeForm, info: PlanInfo,
    about: About|null): string {
  const found = EXTENSION.exec(inputName);
  const base = found === null ? inputName : inputName.slice(0, found.index);
  const name = `${base}-${tagOf(form, info)}`;
  if (info.output.directory) return name;
  const extensions =
      about?.formats.find((f) => f.name === info.output.format)?.extensions ??
      [];
  const before = (found?.[1] ?? '').toLowerCase();
  const extension =
      extensions.includes(before) ? before : extensions[0] ?? 'bin';
  return `${name}.${extension}`;
}

function tagOf(form: RecipeForm, info: PlanInfo): string {
  switch (form.mode) {
    case 'convert':
      return info.output.format;
    case 'dequantize':
      return 'float';
    case 'quantize':
      return form.scheme.format === '' ? info.output.format :
                                         form.scheme.format;
  }
}

/** What the input is called: the file, or the directory of the files. */
export function inputName(files: readonly File[]): string {
  const first = files[0];
  if (first === undefined) return '';
  const directory = first.webkitRelativePath.split('/')[0] ?? '';
  if (directory !== '') return directory;
  return files.length === 1 ? first.name : 'model';
}
