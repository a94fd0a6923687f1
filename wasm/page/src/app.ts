// What happens when somebody does something: the state changes here only.

import {
  about, cleanUp, cliCommand, MonoquantError, open,
} from '@monoquant/core';
import type {
  CheckpointInfo, Plan, RunProgress, RunResult, Survey,
} from '@monoquant/core';

import {droppedFiles} from './dropped_files';
import {CORE_FILES} from './environment';
import {exampleFile} from './example';
import {failureOf, isAbort, printable} from './failure';
import type {Failure} from './failure';
import {findOffers, NO_OFFERS, variations} from './offers';
import type {Field} from './offers';
import {inputName, outputName} from './output_name';
import {plainFormatFor} from './presets';
import {
  recipeForm, toRecipeJson, toRequest, withChoice, withRecipeJson,
} from './recipe_form';
import type {RecipeForm} from './recipe_form';
import {isFloat, rowsOf} from './rows';
import type {PlannedTensor, Quantization} from './rows';
import {scheme} from './scheme';
import type {SchemeJson} from './scheme';
import {mayFollow} from './state';
import type {Finished, OpenInput, Phase, State} from './state';
import {Store} from './store';
import type {Choice} from './tensor_choice';

const INITIAL: State = {
  phase: 'empty',
  about: null,
  reading: null,
  input: null,
  openChoices: {root: '', allowOpaque: false},
  form: recipeForm('safetensors'),
  planning: {busy: false, info: null, request: null, failure: null},
  offers: NO_OFFERS,
  rows: [],
  drawer: null,
  running: null,
  finished: null,
  failure: null,
  notice: '',
  storageFree: null,
  theme: '',
  updateReady: false,
  offlineReady: false,
  logCounts: false,
};

// A key that is held down or a word that is typed is one change.
const PLAN_DELAY_MS = 120;
// Variations are looked at when nothing has changed for a while.
const OFFERS_DELAY_MS = 350;
// A plan of more tensors takes a while, and there are forty of them: they are
// made for a field when that is looked at.
export const MOST_OFFERS_UNASKED = 20_000;
const FIRST_LAYERS = 25;
// A point of the plot for each of so many parts of the run.
const PLOT_POINTS = 200;
// Larger tensors are read only when somebody asks for it.
export const SURVEY_AT_ONCE = 64e6;

export class App {
  readonly store = new Store<State>(INITIAL);

  /** What a change of the recipe makes obsolete. */
  private planning = new AbortController();
  private opening = new AbortController();
  private surveying = new AbortController();
  private running = new AbortController();
  private plan: Plan|null = null;
  private lastFiles: readonly File[] = [];

  get state(): State {
    return this.store.state;
  }

  start(): void {
    // What tabs that are gone have left; nobody waits for it.
    cleanUp().catch(() => {});
  }

  /** How many times files were opened, or could not be. */
  answers = 0;

  private go(phase: Phase, change: Partial<State> = {}): void {
    const from = this.state.phase;
    if (!mayFollow(from, phase)) {
      throw new Error(`${phase} does not follow ${from}`);
    }
    this.store.set({...change, phase});
  }

  // Opening.

  openExample(): void {
    this.openFiles([exampleFile()]);
  }

  async openDropped(transfer: DataTransfer): Promise<void> {
    if (this.state.phase === 'running') {
      this.store.set({
        notice: 'A run is going on. Cancel it first, or wait for its end.',
      });
      return;
    }
    try {
      await this.openFiles(await droppedFiles(transfer));
    } catch (error) {
      this.go('reading');
      this.fail('The files could not be read', error);
    }
  }

  reopen(): void {
    this.openFiles(this.lastFiles);
  }

  async openFiles(files: readonly File[]): Promise<void> {
    if (files.length === 0 || this.state.phase === 'running') return;
    this.opening.abort();
    this.opening = new AbortController();
    const {signal} = this.opening;
    this.lastFiles = files;
    const name = inputName(files);
    const bytes = files.reduce((sum, f) => sum + f.size, 0);
    this.closeDrawer();
    this.go('reading', {reading: {name, bytes}, failure: null, notice: ''});
    try {
      const {root, allowOpaque} = this.state.openChoices;
      const options = {
        ...CORE_FILES,
        signal,
        path: name,
        ...(root === '' ? {} : {root}),
        ...(allowOpaque ? {allowOpaque} : {}),
      };
      const checkpoint = await open(
          files.length === 1 && files[0]!.webkitRelativePath === '' ?
              files[0]! :
              files,
          options);
      if (signal.aborted) {
        checkpoint.close();
        return;
      }
      const knows = this.state.about ?? await about(CORE_FILES);
      this.leaveInput();
      ++this.answers;
      const {info} = checkpoint;
      const form =
          formFor(this.state.form, this.state.input?.info ?? null, info);
      this.go('inspect', {
        about: knows,
        input:
            {name, files, bytes, checkpoint, info, opened: {root, allowOpaque}},
        reading: null,
        openChoices: {root: '', allowOpaque: false},
        form,
        rows: rowsOf(checkpoint.tensors, null, storedSchemes(info)),
        planning: {busy: true, info: null, request: null, failure: null},
        offers: NO_OFFERS,
        notice: '',
      });
      this.replan(0);
      this.store.set({storageFree: await storageFree()});
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      ++this.answers;
      this.fail(`${name} could not be opened`, error);
    }
  }

  cancelOpening(): void {
    this.opening.abort();
    const {input} = this.state;
    this.go(input === null ? 'empty' : 'inspect', {reading: null});
  }

  setOpenChoices(change: Partial<State['openChoices']>): void {
    this.store.set({openChoices: {...this.state.openChoices, ...change}});
  }

  /** Forgets the files; the recipe stays for the next ones. */
  closeInput(): void {
    this.leaveInput();
    this.closeDrawer();
    this.go('empty', {
      input: null,
      rows: [],
      failure: null,
      planning: {busy: false, info: null, request: null, failure: null},
      offers: NO_OFFERS,
    });
  }

  private leaveInput(): void {
    this.planning.abort();
    this.plan = null;
    this.dropResult();
    // Its plans go with it.
    this.state.input?.checkpoint.close();
  }

  // The recipe.

  change(change: Partial<RecipeForm>): void {
    this.setForm({...this.state.form, ...change});
  }

  setForm(form: RecipeForm): void {
    this.store.set({form, notice: ''});
    this.replan(PLAN_DELAY_MS);
  }

  /** Chooses for tensors by name; '' goes back to what the rules say. */
  choose(names: readonly string[], choice: Choice): void {
    this.setForm(withChoice(
        this.state.form, names, choice === '' ? null : scheme(choice)));
  }

  recipeText(): string {
    return `${JSON.stringify(toRecipeJson(this.state.form), null, 2)}\n`;
  }

  async loadRecipe(file: File): Promise<void> {
    let form;
    try {
      const json: unknown = JSON.parse(await file.text());
      // First, as the core's messages say more.
      await this.checkRecipe(json as object);
      form = withRecipeJson(this.state.form, json);
    } catch (error) {
      const reason = error instanceof SyntaxError ?
          'it is no JSON' :
          printable((error as Error).message);
      this.store.set({
        notice: `${file.name} is no recipe: ${reason}. Recipes are described ` +
            'in docs/recipe.md.',
      });
      return;
    }
    this.setForm(form);
    this.store.set({notice: `The recipe ${file.name} is loaded.`});
  }

  /**
   * Asks the core of the recipe as it was written, since a form has no place for
   * what is wrong in it. That it does not fit the tensors or the format is no
   * reason to refuse it: it can be changed.
   */
  private async checkRecipe(recipe: object): Promise<void> {
    const {input, form} = this.state;
    if (input === null) return;
    try {
      const plan = await input.checkpoint.plan(
          {...toRequest({...form, mode: 'quantize'}), recipe});
      plan.close();
    } catch (error) {
      if (error instanceof MonoquantError && error.code === 'UsageError') {
        throw error;
      }
    }
  }

  command(): string {
    const {input, planning, form, about: knows} = this.state;
    if (input === null || planning.info === null || planning.request === null) {
      return '';
    }
    const {root, allowOpaque} = input.opened;
    return cliCommand(
        planning.request, {
          input: input.name,
          output: outputName(input.name, form, planning.info, knows),
        },
        {
          ...(root === '' ? {} : {root}),
          ...(allowOpaque ? {allowOpaque} : {})
        });
  }

  private async replan(delay: number): Promise<void> {
    const {input, form} = this.state;
    if (input === null) return;
    this.planning.abort();
    this.planning = new AbortController();
    const {signal} = this.planning;
    this.store.set({planning: {...this.state.planning, busy: true}});
    if (!await pause(delay, signal)) return;
    const request = toRequest(form);
    try {
      const plan = await input.checkpoint.plan(request, {signal});
      if (signal.aborted) {
        plan.close();
        return;
      }
      this.plan?.close();
      this.plan = plan;
      this.store.set({
        planning: {busy: false, info: plan.info, request, failure: null},
        rows: rowsOf(
            input.info.tensors, plan.info.plan.tensors as PlannedTensor[],
            storedSchemes(input.info)),
      });
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      this.plan?.close();
      this.plan = null;
      this.store.set({
        planning: {
          busy: false,
          info: null,
          request: null,
          failure: failureOf('This recipe does not fit', error),
        },
        rows: rowsOf(input.info.tensors, null, storedSchemes(input.info)),
      });
    }
    if (!await pause(OFFERS_DELAY_MS, signal)) return;
    if (input.info.tensors.length > MOST_OFFERS_UNASKED) {
      this.store.set({offers: NO_OFFERS});
    } else {
      await this.findOffers(null);
    }
  }

  /** Finds out which choices there are, of one field or of all. */
  async findOffers(only: Field|null): Promise<void> {
    const {input, about: knows, form} = this.state;
    if (input === null || this.state.planning.busy) return;
    const {signal} = this.planning;
    const names = knows?.formats.map((f) => f.name) ?? [];
    const list = variations(form, names)
                     .filter((v) => only === null || v.field === only);
    // Old answers stay until there is a new one: nothing flickers.
    await findOffers(
        input.checkpoint, list, signal, (field: Field, value, reason) => {
          const {offers} = this.state;
          if (offers[field].get(value) === reason) return;
          const answers = new Map(offers[field]).set(value, reason);
          this.store.set({offers: {...offers, [field]: answers}});
        });
  }

  // Running.

  async run(): Promise<void> {
    const {input, planning, form} = this.state;
    const {plan} = this;
    if (input === null || plan === null || planning.busy ||
        planning.request === null || this.state.phase === 'running') {
      return;
    }
    // The recipe cannot change below a run, and its answers are not needed.
    this.planning.abort();
    this.closeDrawer();
    this.dropResult();
    this.running = new AbortController();
    this.go('running', {
      running: {progress: null, history: [], cancelling: false},
      failure: null,
      finished: null,
      notice: '',
    });
    const name = outputName(input.name, form, plan.info, this.state.about);
    try {
      const run = plan.run({signal: this.running.signal});
      for await (const progress of run) {
        this.note(progress);
      }
      const result = await run.result;
      this.go('result', {
        running: null,
        finished: finish(result, planning.request, input, name),
        notice: '',
      });
    } catch (error) {
      if (isAbort(error)) {
        this.go('inspect', {
          running: null,
          notice: 'Cancelled. Nothing was kept; the recipe is as it was.',
        });
        this.replan(0);
      } else {
        this.fail('The run stopped', error);
      }
    }
  }

  private note(progress: RunProgress): void {
    const {running} = this.state;
    if (running === null) return;
    const {history} = running;
    const last = history[history.length - 1]?.bytes ?? -Infinity;
    if (progress.phase === 'run' && progress.sqnrDb !== null &&
        progress.bytesDone - last >= progress.bytesTotal / PLOT_POINTS) {
      history.push({bytes: progress.bytesDone, sqnrDb: progress.sqnrDb});
    }
    this.store.set({running: {...running, progress}});
  }

  cancelRun(): void {
    const {running} = this.state;
    if (running === null || running.cancelling) return;
    this.store.set({running: {...running, cancelling: true}});
    this.running.abort();
  }

  /** Back to the recipe; files and recipe stay. */
  again(): void {
    this.closeDrawer();
    this.go('inspect', {failure: null});
    if (this.plan === null) this.replan(0);
  }

  showLayers(shown: number): void {
    const {finished} = this.state;
    if (finished !== null) this.store.set({finished: {...finished, shown}});
  }

  private dropResult(): void {
    const {finished} = this.state;
    if (finished === null) return;
    for (const {url} of finished.files) {
      if (url !== '') URL.revokeObjectURL(url);
    }
    finished.run.dispose().catch(() => {});
    this.store.set({finished: null});
  }

  private fail(title: string, error: unknown): void {
    this.go('error', {
      failure: failureOf(title, error),
      reading: null,
      running: null,
    });
  }

  // Looking at a tensor.

  showTensor(tensor: string): void {
    this.surveying.abort();
    this.store.set(
        {drawer: {tensor, busy: false, survey: null, failure: null}});
    const found = this.state.rows.find((row) => row.tensor.name === tensor);
    if (found !== undefined && isFloat(found) &&
        found.tensor.bytes <= SURVEY_AT_ONCE) {
      this.survey();
    }
  }

  async survey(): Promise<void> {
    const {drawer, input} = this.state;
    if (drawer === null || input === null) return;
    this.surveying.abort();
    this.surveying = new AbortController();
    const {signal} = this.surveying;
    const {tensor} = drawer;
    const tell =
        (change: {survey?: Survey|null, failure?: Failure|null},
         busy = false) => {
          const now = this.state.drawer;
          if (now?.tensor === tensor && !signal.aborted) {
            this.store.set({drawer: {...now, ...change, busy}});
          }
        };
    tell({failure: null}, true);
    try {
      const against = this.outputOf(tensor);
      const survey = await input.checkpoint.survey(
          tensor, {bins: 128, signal, ...(against === null ? {} : {against})});
      tell({survey});
    } catch (error) {
      if (isAbort(error)) return;
      tell({failure: failureOf('The values could not be read', error)});
    }
  }

  // The output of the last run, if the tensor is quantized there.
  private outputOf(tensor: string) {
    const {finished} = this.state;
    const quantized =
        finished?.run.results.tensors.some((t) => t.name === tensor);
    if (finished === null || !quantized) return null;
    return {checkpoint: finished.run, tensor};
  }

  closeDrawer(): void {
    this.surveying.abort();
    if (this.state.drawer !== null) this.store.set({drawer: null});
  }

  setLogCounts(logCounts: boolean): void {
    this.store.set({logCounts});
  }
}

async function storageFree(): Promise<number|null> {
  try {
    const {quota, usage = 0} = await navigator.storage.estimate();
    return quota === undefined ? null : Math.max(0, quota - usage);
  } catch {
    return null;
  }
}

function storedSchemes(info: CheckpointInfo): Map<string, SchemeJson> {
  const {tensors = []} = (info.quantization ?? {}) as Partial<Quantization>;
  return new Map(tensors.map((t) => [t.name, t.scheme]));
}

/** The recipe stays for the next file; what only the last one had does not. */
function formFor(
    form: RecipeForm, before: CheckpointInfo|null,
    info: CheckpointInfo): RecipeForm {
  const next = {...form};
  const quantized = info.quantization !== null;
  // To quantize it once more would add up errors: not the first choice.
  if (quantized && (before === null || before.quantization === null)) {
    next.mode = 'dequantize';
  }
  if (!quantized && form.mode === 'dequantize') next.mode = 'quantize';
  // Nobody has chosen a format: it is that of the input.
  const untouched = before === null || form.format === '' ?
      form.program === '' :
      form.format === plainFormatFor(before.container);
  if (untouched) next.format = plainFormatFor(info.container);
  return next;
}

// Some browsers look into a file without a type, and add an ending to its name.
function asBytes(file: File): Blob {
  return file.slice(0, file.size, 'application/octet-stream');
}

function finish(
    run: RunResult, request: Finished['request'], input: OpenInput,
    outputName: string): Finished {
  const single = !run.plan.output.directory && run.files.length === 1;
  return {
    run,
    request,
    plan: run.plan,
    inputName: input.name,
    bytesIn: input.bytes,
    outputName,
    files: run.files.map(
        (file) => ({
          ...file,
          saveAs: single ? outputName : file.name,
          url: file.file === undefined ? '' : URL.createObjectURL(asBytes(file.file)),
        })),
    shown: FIRST_LAYERS,
  };
}

/** False if the signal came first. */
function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(!signal.aborted), milliseconds);
  });
}
