// The head of a table.

/** Columns of figures stand at the right. */
export type Column = string | { readonly figure: string };

export function Columns({ names }: { readonly names: readonly Column[] }) {
  return (
    <thead>
      <tr>
        {names.map((name) =>
          typeof name === "string" ? (
            <th key={name} scope="col">
              {name}
            </th>
          ) : (
            <th key={name.figure} scope="col" class="figure">
              {name.figure}
            </th>
          ),
        )}
      </tr>
    </thead>
  );
}
