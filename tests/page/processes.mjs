// What /proc says of the processes that a test has started.

import * as fs from 'node:fs';

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';  // The process ended.
  }
}

/** The ids of the processes that `pid` and its descendants have started. */
export function descendants(pid) {
  const children = new Map();
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // After the name of the program, which may have anything in it.
    const parent = Number(
        read(`/proc/${name}/stat`).split(') ').pop().split(' ')[1]);
    children.set(parent, [...children.get(parent) ?? [], Number(name)]);
  }
  const found = [];
  const waiting = [pid];
  while (waiting.length > 0) {
    for (const child of children.get(waiting.pop()) ?? []) {
      found.push(child);
      waiting.push(child);
    }
  }
  return found;
}

/** The most memory that a renderer of ours was ever resident with, in bytes. */
export function rendererPeakBytes() {
  const peaks = descendants(process.pid)
      .filter((pid) => /--type=renderer\b/.test(read(`/proc/${pid}/cmdline`)))
      .map((pid) => /VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`)))
      .map((match) => match ? Number(match[1]) * 1024 : 0);
  return Math.max(0, ...peaks);
}
