// The pieces of the page that need no browser.

import assert from 'node:assert/strict';
import test from 'node:test';

import {
  bytesText, countText, decibelText, escapeMarkup, numberText, plural,
  ratioText, secondsText, sentence,
} from './format';
import {outputName} from './output_name';
import {
  barLength, heights, histogramPlot, outline, plotFile, shortName, ticks,
} from './plots';
import {plainFormatFor, presetOf, PRESETS} from './presets';
import {
  choicesByName, recipeForm, sizeOf, toRecipeJson, toRequest, withChoice,
  withoutRule, withRecipeJson, withSkip,
} from './recipe_form';
import {summaryOf, worstFirst} from './report';
import {
  dtypeCounts, filterRows, parameterCount, rowsOf, sortRows,
} from './rows';
import type {Filter, PlannedTensor} from './rows';
import {
  fromRecipe, scheme, schemeText, toRecipe, withFormat, withGranularity,
} from './scheme';
import {mayFollow} from './state';
import {MOST_PIXELS, scrollTo, windowOf} from './windowing';

test('numbers as people read them', () => {
  assert.equal(bytesText(0), '0 bytes');
  assert.equal(bytesText(1), '1 byte');
  assert.equal(bytesText(999), '999 bytes');
  assert.equal(bytesText(1000), '1.00 KB');
  assert.equal(bytesText(999_499), '999 KB');
  assert.equal(bytesText(999_600), '1.00 MB');
  assert.equal(bytesText(4_328_532_144), '4.33 GB');
  assert.equal(countText(1234), '1,234');
  assert.equal(countText(1_234_567), '1.23 million');
  assert.equal(plural(1, 'tensor'), '1 tensor');
  assert.equal(plural(0, 'tensor'), '0 tensors');
  assert.equal(ratioText(400, 100), '4.00× smaller');
  assert.equal(ratioText(100, 200), '2.00× larger');
  assert.equal(ratioText(1000, 1001), 'the same size');
  assert.equal(ratioText(0, 10), '');
  assert.equal(secondsText(5), '5.0 s');
  assert.equal(secondsText(59.2), '1 min 0 s');
  assert.equal(secondsText(3720), '1 h 2 min');
  assert.equal(decibelText(null), 'exact');
  assert.equal(decibelText(37.94), '37.9 dB');
  assert.equal(numberText(0.019531), '0.01953');
  assert.equal(numberText(-3.14e-7), '-3.14e-7');
  assert.equal(numberText(0), '0');
});

test('messages become sentences', () => {
  assert.equal(sentence('the file is truncated'), 'The file is truncated.');
  assert.equal(sentence('model.pt: no'), 'model.pt: no.');
  assert.equal(sentence('did you mean \'a\'?'), 'Did you mean \'a\'?');
  assert.equal(sentence(' '), '');
});

test('text of a file is no markup', () => {
  const text = escapeMarkup('<img src="x" onerror=\'y\'>&');
  assert.doesNotMatch(text, /[<>"']/);
  const plot = histogramPlot({
    label: '"><script>',
    min: 0,
    max: 1,
    bins: [1, 2],
    logarithmic: false,
  });
  assert.doesNotMatch(plot, /<script/);
});

test('schemes in both spellings', () => {
  const texts = [
    'int8',
    'int4,group=64,asymmetric',
    'int8,axis=1',
    'fp8_e4m3,block',
    'nf4,double_quant',
    'uint8,convention=compressed-tensors',
    'fp4_e2m1,scale_dtype=e8m0',
    'mxfp4',
    'int8,tensor,algorithm=rtn',
  ];
  for (const text of texts) {
    const read = fromRecipe(text);
    assert.deepEqual(fromRecipe(toRecipe(read)), read, text);
  }
  assert.deepEqual(toRecipe(fromRecipe('int8')), 'int8');
  assert.deepEqual(toRecipe(fromRecipe('int4,group=64,asymmetric')), {
    format: 'int4',
    granularity: 'group',
    group_size: 64,
    symmetric: false,
  });
  assert.equal(
      fromRecipe({format: 'int8', granularity: 'channel'}).granularity, 'axis');
  assert.throws(() => fromRecipe('int8,fast'), /"int8,fast" is not a scheme/);
  assert.throws(() => fromRecipe(7), /7 is not a scheme/);
  assert.throws(
      () => fromRecipe({format: 'int8', granularity: 'row'}), /granularity/);
});

test('another format drops the choices that it does not have', () => {
  const from = fromRecipe('int4,group=64,asymmetric,convention=torch');
  assert.deepEqual(withFormat(from, 'mxfp4'), scheme('mxfp4'));
  assert.deepEqual(withFormat(from, 'bf16'), scheme('bf16'));
  assert.deepEqual(toRecipe(withFormat(from, 'nf4')), {
    format: 'nf4',
    granularity: 'group',
    group_size: 64,
  });
  assert.equal(withGranularity(from, 'axis').groupSize, null);
  assert.equal(withGranularity(from, 'block').groupSize, 64);
});

test('schemes in words', () => {
  assert.equal(
      schemeText({
        format: 'int4',
        granularity: 'group',
        group_size: 128,
        symmetric: false,
      }),
      'INT4 · groups of 128 · asymmetric');
  assert.equal(
      schemeText({format: 'int8', granularity: 'axis', axis: 0}),
      'INT8 · per channel');
  assert.equal(schemeText({format: 'bf16'}), 'BF16');
});

test('a recipe survives the form', () => {
  const recipe = {
    defaults: {format: 'int4', granularity: 'group', group_size: 64},
    rules: [
      {match: '*.lm_head.*', scheme: 'skip'},
      {match: '*.attn.?_proj.weight', scheme: 'int8'},
      {match: 'a.weight', scheme: {format: 'int8', granularity: 'tensor'}},
    ],
    only_rules: true,
    min_elements: 0,
    layer_types: ['Linear'],
    nonfinite: 'zero',
    allow_unmatched: true,
  };
  const form = withRecipeJson(recipeForm('safetensors'), recipe);
  assert.deepEqual(toRecipeJson(form), recipe);
  assert.deepEqual(toRequest(form), {
    mode: 'quantize',
    recipe,
    format: 'safetensors',
  });
  for (const wrong
           of [null,
               [],
               {rule: []},
               {rules: {}},
               {rules: [{match: ''}]},
               {defaults: 5},
  ]) {
    assert.throws(() => withRecipeJson(form, wrong), Error);
  }
});

test('what is not asked for is not in the request', () => {
  const form = recipeForm('torch');
  assert.deepEqual(
      toRequest({...form, scheme: scheme('')}),
      {mode: 'quantize', format: 'torch'});
  assert.deepEqual(
      toRequest({...form, mode: 'convert', program: 'vllm', format: ''}), {
        mode: 'convert', for: 'vllm'
      });
  assert.deepEqual(
      toRequest({...form, mode: 'dequantize', program: 'vllm', dtype: 'F16'}),
      {mode: 'dequantize', dtype: 'F16', format: 'torch'});
});

test('choices for single tensors come before patterns', () => {
  let form = withSkip(recipeForm('torch'), '*.bias');
  form = withChoice(form, ['a', 'b'], scheme('int4'));
  form = withChoice(form, ['b'], scheme('skip'));
  assert.deepEqual(
      form.rules.map((r) => [r.match, r.scheme.format]),
      [['b', 'skip'], ['a', 'int4'], ['*.bias', 'skip']]);
  assert.deepEqual([...choicesByName(form).keys()], ['b', 'a']);
  // Of two patterns the newer one counts.
  assert.deepEqual(
      withSkip(form, '*.weight').rules.map((r) => r.match),
      ['b', 'a', '*.weight', '*.bias']);
  form = withChoice(form, ['a', 'b'], null);
  assert.deepEqual(withoutRule(form, '*.bias').rules, []);
});

test('sizes as on the command line', () => {
  assert.equal(sizeOf(''), null);
  assert.equal(sizeOf('5G'), 5 * 2 ** 30);
  assert.equal(sizeOf(' 1.5 MB '), 1.5 * 2 ** 20);
  assert.equal(sizeOf('100000'), 100000);
  assert.ok(Number.isNaN(sizeOf('five')));
});

test('presets are recognised', () => {
  const form = recipeForm('safetensors');
  for (const preset of PRESETS) {
    const applied = preset.apply(form, 'safetensors');
    assert.equal(presetOf(applied, 'safetensors'), preset.id);
    assert.notDeepEqual(toRequest(applied), {});
  }
  assert.equal(presetOf(form, 'safetensors'), 'safe');
  assert.equal(presetOf({...form, mode: 'convert'}, 'safetensors'), '');
  assert.equal(plainFormatFor('torch-legacy'), 'torch');
  assert.equal(plainFormatFor('safetensors-sharded'), 'safetensors');
  assert.equal(plainFormatFor('dcp'), 'safetensors');
});

const TENSORS = [
  {name: 'layers.10.weight', dtype: 'F32', shape: [2, 3], bytes: 24},
  {name: 'layers.2.weight', dtype: 'F32', shape: [4], bytes: 16},
  {name: 'steps', dtype: 'I64', shape: [], bytes: 8},
  {name: 'tied', dtype: 'F32', shape: [4], bytes: 16, tie: 'layers.2.weight'},
];
const PLANNED: PlannedTensor[] =
    TENSORS.map(({name, dtype}, i) => ({
                  name,
                  action: i === 0 ? 'quantize' :
                      i === 3     ? 'tie' :
                                    'copy',
                  reason: i === 0 ? 'float weight' : '1-D',
                  outputs: [{name, dtype, shape: [], bytes: 6}],
                  ...(i === 0 ? {scheme: {format: 'int8'}} : {}),
                }));
const ALL: Filter = {
  text: '',
  dtypes: new Set(),
  action: ''
};

test('rows are filtered', () => {
  const rows = rowsOf(TENSORS, PLANNED);
  const names = (filter: Partial<Filter>) =>
      filterRows(rows, {...ALL, ...filter}).map((r) => r.tensor.name);
  assert.equal(names({}).length, 4);
  assert.deepEqual(names({text: 'LAYERS.2'}), ['layers.2.weight']);
  assert.deepEqual(names({text: '/^layers\\.\\d\\./'}), ['layers.2.weight']);
  assert.deepEqual(names({text: '/STEPS/i'}), ['steps']);
  assert.deepEqual(names({dtypes: new Set(['I64'])}), ['steps']);
  assert.deepEqual(names({action: 'quantize'}), ['layers.10.weight']);
  assert.equal(names({action: 'copy'}).length, 3);
  assert.throws(() => names({text: '/(/'}), SyntaxError);
  // Not stateful, as expressions with the flag g are.
  assert.equal(names({text: '/weight/g'}).length, 2);
});

test('rows are sorted', () => {
  const rows = rowsOf(TENSORS, PLANNED);
  const names = (key: 'name'|'bytes'|'order', descending = false) =>
      sortRows(rows, {key, descending}).map((r) => r.tensor.name);
  assert.deepEqual(
      names('name'), ['layers.2.weight', 'layers.10.weight', 'steps', 'tied']);
  assert.deepEqual(
      names('bytes'), ['steps', 'layers.2.weight', 'tied', 'layers.10.weight']);
  assert.deepEqual(names('order', true)[0], 'tied');
});

test('what rows say', () => {
  const [first, second] = rowsOf(TENSORS, PLANNED);
  assert.equal(first!.becomes, 'INT8');
  assert.equal(first!.newBytes, 6);
  assert.equal(second!.becomes, 'as it is');
  assert.equal(rowsOf(TENSORS, null)[0]!.newBytes, null);
  // By name: of a quantized checkpoint there are no plans for scales.
  const some = rowsOf(TENSORS, PLANNED.slice(1));
  assert.equal(some[0]!.planned, null);
  assert.equal(some[1]!.planned?.name, 'layers.2.weight');
  const stored = new Map([['steps', {format: 'int4'}]]);
  assert.equal(rowsOf(TENSORS, null, stored)[2]!.stored, 'INT4');
  assert.deepEqual(dtypeCounts(TENSORS), [['F32', 3], ['I64', 1]]);
  assert.equal(parameterCount(TENSORS), 6 + 4 + 1);
});

test('windows of a table', () => {
  const view = {rows: 1000, rowHeight: 40, height: 400, scrollTop: 0};
  assert.deepEqual(windowOf(view), {first: 0, end: 18, top: 0, total: 40000});
  const middle = windowOf({...view, scrollTop: 20000});
  assert.equal(middle.top, middle.first * 40);
  assert.ok(middle.first <= 500 && middle.end >= 510);
  const end = windowOf({...view, scrollTop: 1e9});
  assert.equal(end.end, 1000);
  assert.deepEqual(windowOf({...view, rows: 0}).end, 0);
});

test('a table that is higher than browsers draw', () => {
  const view = {rows: 500_000, rowHeight: 40, height: 400, scrollTop: 0};
  const seen = new Set<number>();
  for (let i = 0; i <= 100; ++i) {
    const scrollTop = (MOST_PIXELS - view.height) * i / 100;
    const {first, end, top, total} = windowOf({...view, scrollTop});
    assert.equal(total, MOST_PIXELS);
    assert.ok(end - first < 40);
    // What is drawn covers the box.
    assert.ok(top <= scrollTop + 1);
    assert.ok(top + (end - first) * 40 >= scrollTop + 399);
    seen.add(first);
  }
  assert.equal(seen.size, 101);
  assert.ok(seen.has(500_000 - 18));
});

test('the row of the keyboard comes into sight', () => {
  const view = {rows: 1000, rowHeight: 40, height: 400, scrollTop: 1000};
  assert.equal(scrollTo(view, 27, 0), 1000);
  assert.equal(scrollTo(view, 10, 0), 400);
  assert.equal(scrollTo(view, 100, 40), 4040 + 40 - 400);
  const huge = {...view, rows: 500_000};
  const {first, end} =
      windowOf({...huge, scrollTop: scrollTo(huge, 250_000, 0)});
  assert.ok(first <= 250_000 && 250_000 < end);
});

test('histogram shapes', () => {
  assert.deepEqual(heights([0, 5, 10], 10, false), [0, 0.5, 1]);
  assert.deepEqual(heights([0, 0], 0, false), [0, 0]);
  const [zero, few, many] = heights([0, 9, 99], 99, true);
  assert.equal(zero, 0);
  assert.ok(Math.abs(few! - 0.5) < 1e-9);
  assert.equal(many, 1);
  assert.equal(outline([0, 1], 100, 10), 'M0 10V10H50V0H100V10Z');
  assert.deepEqual(ticks(0, 10, 5), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(-0.07, 0.07, 5), [-0.05, 0, 0.05]);
  assert.deepEqual(ticks(3, 3, 5), [3]);
  assert.equal(barLength(null), 1);
  assert.equal(barLength(30), 0.5);
  assert.equal(barLength(-5), 0);
  assert.equal(shortName('abcdef', 4), '…def');
  const plot = histogramPlot(
      {label: 'h', min: -1, max: 1, bins: [1, 2, 3], logarithmic: false});
  assert.match(plotFile(plot), /^<svg [^>]*><style>/);
});

const result = (name: string, sqnr_db: number|null, mse = 1) => ({
  name,
  sqnr_db,
  mse,
  scheme: {},
  cosine: 1,
  max_abs_error: 1,
  nonfinite: 0,
});

test('worst layers first, exact ones last', () => {
  const tensors = [
    result('exact', null, 0),
    result('good', 40),
    result('bad', 12),
    result('lost', null),
  ];
  assert.deepEqual(
      worstFirst(tensors).map((t) => t.name), ['lost', 'bad', 'good', 'exact']);
  assert.deepEqual(summaryOf(tensors), {
    mean: 26,
    min: 12,
    worst_tensor: 'bad',
    exact_tensors: 1,
  });
  assert.equal(summaryOf([]).mean, null);
});

test('names of outputs', () => {
  const info = (format: string, directory: boolean) => ({
    settled: true,
    output: {format, directory, bytes: 1, python: ''},
    outputs: [],
    notes: [],
    plan: {},
  });
  const about = {
    version: '',
    containers: [],
    formats: [{
      name: 'torch',
      directory: false,
      extensions: ['pt', 'pth', 'bin'],
      python: '',
      description: '',
    }],
  };
  const form = recipeForm('torch');
  assert.equal(
      outputName('model.bin', form, info('torch', false), about),
      'model-int8.bin');
  assert.equal(
      outputName('model.v2.safetensors', form, info('torch', false), about),
      'model.v2-int8.pt');
  assert.equal(
      outputName('Llama-3.2-1B', form, info('gptq', true), about),
      'Llama-3.2-1B-int8');
  assert.equal(
      outputName(
          'm.pt', {...form, mode: 'dequantize'}, info('torch', false), about),
      'm-float.pt');
});

test('states that follow each other', () => {
  assert.ok(mayFollow('empty', 'reading'));
  assert.ok(mayFollow('running', 'inspect'));
  assert.ok(!mayFollow('running', 'reading'));
  assert.ok(!mayFollow('empty', 'running'));
});
