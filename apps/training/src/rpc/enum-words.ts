/** Words of the domain beside numbers of the contract. */
export type EnumWords<W extends string, N extends number> = readonly (readonly [W, N])[];

/** The domain's word; undefined for "not set". */
export function wordOf<W extends string, N extends number>(table: EnumWords<W, N>, number: N): W | undefined {
  return table.find(([, value]) => value === number)?.[0];
}

/** The contract's number. */
export function numberOf<W extends string, N extends number>(table: EnumWords<W, N>, word: W): N {
  const row = table.find(([name]) => name === word);
  if (row === undefined) throw new TypeError(`no enum value for "${word}"`);
  return row[1];
}
