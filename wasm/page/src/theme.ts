// Light, dark, or what the system has.

export type Theme = ''|'light'|'dark';

const KEY = 'monoquant-theme';
const ORDER: Theme[] = ['', 'light', 'dark'];

export function nextTheme(theme: Theme): Theme {
  return ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length]!;
}

export function themeText(theme: Theme): string {
  return {'': 'Theme: auto', light: 'Theme: light', dark: 'Theme: dark'}[theme];
}

/** What was chosen last time; browsers may keep nothing. */
export function storedTheme(): Theme {
  try {
    const stored = localStorage.getItem(KEY);
    return stored === 'light' || stored === 'dark' ? stored : '';
  } catch {
    return '';
  }
}

export function applyTheme(theme: Theme): void {
  const root = document.documentElement;
  if (theme === '') {
    delete root.dataset['theme'];
  } else {
    root.dataset['theme'] = theme;
  }
  try {
    if (theme === '') {
      localStorage.removeItem(KEY);
    } else {
      localStorage.setItem(KEY, theme);
    }
  } catch {
    // It holds for this visit then.
  }
}
