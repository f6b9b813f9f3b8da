// What a list is narrowed by: each writes the signal that it shows.

import type { Signal } from "@preact/signals";

interface PickProps {
  readonly label: string;
  readonly value: Signal<string>;
  /** The words of the choice that leaves nothing out. */
  readonly all: string;
  readonly options: readonly string[];
}

export function Pick({ label, value, all, options }: PickProps) {
  return (
    <label>
      <span class="unseen">{label}</span>
      <select
        value={value.value}
        onChange={(event) => {
          value.value = event.currentTarget.value;
        }}
      >
        <option value="">{all}</option>
        {options.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
}

export function Check({ label, value }: { readonly label: string; readonly value: Signal<boolean> }) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={value.value}
        onChange={(event) => {
          value.value = event.currentTarget.checked;
        }}
      />
      {label}
    </label>
  );
}

export function Filter({ label, value }: { readonly label: string; readonly value: Signal<string> }) {
  return (
    <input
      type="search"
      placeholder={label}
      aria-label={label}
      value={value.value}
      onInput={(event) => {
        value.value = event.currentTarget.value;
      }}
    />
  );
}

interface ChoiceProps<T extends string | number> {
  readonly label: string;
  readonly value: Signal<T>;
  readonly options: readonly T[];
  words(option: T): string;
}

/** One of a few, each a button. */
export function Choice<T extends string | number>({ label, value, options, words }: ChoiceProps<T>) {
  return (
    <fieldset class="choice">
      <legend class="unseen">{label}</legend>
      {options.map((each) => (
        <button
          key={each}
          type="button"
          aria-pressed={value.value === each}
          onClick={() => {
            value.value = each;
          }}
        >
          {words(each)}
        </button>
      ))}
    </fieldset>
  );
}
