export interface CliNames {}
export function cliCommand(): string { return ''; }
