// Puts the page together.

import {render} from 'lit-html';

import {Announcer} from './announcer';
import {App} from './app';
import {acceptDrops} from './drop_zone';
import {bytesText, plural} from './format';
import {percentOf, progressText} from './run_panel';
import type {Phase, State} from './state';
import {TensorTable} from './tensor_table';
import {applyTheme, storedTheme} from './theme';
import {Updates} from './updates';
import {page} from './view';
import {MODE_VERBS} from './words';

const app = new App();
const updates = new Updates(app);
const root = document.getElementById('app')!;
const announcer = new Announcer(document.getElementById('live')!);

let drawn: State|null = null;
let scheduled = false;

function titleOf(state: State): string {
  const {phase, running, input, finished} = state;
  switch (phase) {
    case 'running':
      return `${percentOf(running?.progress ?? null)} % · ${
          input?.name ?? ''} · monoquant`;
    case 'result':
      return `Done · ${finished?.outputName ?? ''} · monoquant`;
    case 'error':
      return 'Error · monoquant';
    default:
      return input === null ? 'monoquant: smaller PyTorch models' :
                              `${input.name} · monoquant`;
  }
}

const PHASE_TEXTS: Record<Phase, (state: State) => string> = {
  empty: () => '',
  reading: (s) => `Reading ${s.reading?.name ?? ''}`,
  inspect: (s) => s.notice !== '' || s.input === null ?
      s.notice :
      `${s.input.name}: ${plural(s.input.info.tensors.length, 'tensor')}, ${
          bytesText(s.input.bytes)}.`,
  running: (s) => `${MODE_VERBS[s.form.mode]}`,
  result: (s) => `Done. ${s.finished?.outputName ?? ''} is ready.`,
  error: () => '',  // An alert says so itself.
};

// Who uses the keyboard goes on where the page has changed.
function moveFocus(before: State, now: State): void {
  if (before.phase !== now.phase) {
    const heading =
        root.querySelector<HTMLElement>(`[data-heading=${now.phase}]`) ??
        root.querySelector<HTMLElement>('[data-heading]');
    heading?.focus({preventScroll: now.phase === 'inspect'});
    window.scrollTo({top: 0});
  }
  if (before.drawer?.tensor !== now.drawer?.tensor) {
    if (now.drawer !== null) {
      document.getElementById('drawer-title')?.focus();
    } else if (before.phase === now.phase) {
      table()?.focusGrid();
    }
  }
}

function table(): TensorTable|null {
  return root.querySelector<TensorTable>('mq-tensor-table');
}

function draw(): void {
  scheduled = false;
  const {state} = app;
  const before = drawn;
  drawn = state;
  document.documentElement.dataset['answers'] = String(app.answers);
  document.documentElement.dataset['state'] = state.phase;
  document.title = titleOf(state);
  if (before?.theme !== state.theme) applyTheme(state.theme);
  render(page(app, updates), root);
  if (before === null) return;
  if (before.phase !== state.phase) {
    announcer.say(PHASE_TEXTS[state.phase](state));
  } else if (before.notice !== state.notice && state.notice !== '') {
    announcer.say(state.notice);
  } else if (state.running !== null) {
    announcer.progress(progressText(state.running.progress));
  }
  moveFocus(before, state);
}

app.store.listen(() => {
  if (scheduled) return;
  scheduled = true;
  // A hidden tab draws no frames, and its title shall go on.
  if (document.hidden) {
    setTimeout(draw, 250);
  } else {
    requestAnimationFrame(draw);
  }
});

document.addEventListener('keydown', (event) => {
  const target = event.target as HTMLElement;
  const typing = target.matches('input, select, textarea');
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
    const found = table();
    if (found !== null) {
      event.preventDefault();
      found.focusFilter();
    }
  }
  // Escape closes what lies over the page. It never cancels a run.
  if (event.key === 'Escape' && !closeHelp(null) && app.state.drawer !== null) {
    app.closeDrawer();
  }
});

// Explanations lie over what follows: one at a time, and none after a click
// elsewhere. True if there was one.
function closeHelp(except: Element|null): boolean {
  const open = [
    ...document.querySelectorAll<HTMLDetailsElement>('details.help[open]')
  ].filter((one) => one !== except);
  for (const one of open) one.open = false;
  return open.length > 0;
}

document.addEventListener('click', (event) => {
  closeHelp((event.target as Element).closest('details.help'));
});

window.addEventListener('beforeunload', (event) => {
  if (app.state.phase === 'running') event.preventDefault();
});

app.store.set({theme: storedTheme()});
acceptDrops(app);
updates.start();
app.start();
draw();
