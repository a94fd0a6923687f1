// Words of a POSIX shell.

/** A word that the shell reads as `text`, whatever is in it. */
export function quoteWord(text: string): string {
  // A "=" in front means something to zsh, and so does "~" to every shell.
  if (/^[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*$/.test(text)) return text;
  return `'${text.replaceAll('\'', `'\\''`)}'`;
}

/** A path that no program takes for a flag. */
export function pathWord(path: string): string {
  return quoteWord(path.startsWith('-') ? `./${path}` : path);
}

/** A flag with its value, also one that looks like a flag itself. */
export function flagWords(flag: string, value: string): string[] {
  return value.startsWith('-') ? [quoteWord(`${flag}=${value}`)] :
                                 [flag, quoteWord(value)];
}
