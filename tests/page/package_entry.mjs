// Where a package says that its code is.

import * as fs from 'node:fs';
import * as path from 'node:path';

function choose(target, conditions) {
  while (target !== null && typeof target === 'object') {
    const condition = Object.keys(target).find(
        (name) => conditions.includes(name));
    if (condition === undefined) return null;
    target = target[condition];
  }
  return target;
}

/** The path in the folder of a package of what `import` takes there. */
export function packageEntry(folder, ...conditions) {
  const {exports} = JSON.parse(
      fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const target = choose(
      exports['.'] ?? exports, [...conditions, 'import', 'default']);
  if (!target) throw new Error(`${folder}: its package.json exports no code`);
  return path.posix.normalize(target);
}
