// `weft completion`: scripts that complete command names and files.

import { Argument, type Command } from "commander";
import { examples } from "./command.ts";

export function define(command: Command): void {
  command
    .addArgument(new Argument("<shell>", "your shell").choices(["bash", "zsh", "fish"]))
    .action((shell: string) => {
      const { parent } = command;
      const visible = parent === null ? [] : parent.createHelp().visibleCommands(parent);
      const commands = visible.map((other) => ({
        names: [other.name(), ...other.aliases()],
        summary: other.summary(),
      }));
      process.stdout.write(script(shell, commands));
    });
  examples(command, [
    "source <(weft completion bash)",
    "weft completion zsh > ~/.zfunc/_weft",
    "weft completion fish > ~/.config/fish/completions/weft.fish",
  ]);
}

const IMAGE_VERBS = "set list delete";
const SHELLS = "bash zsh fish";
const DESCRIBED = "service pod";
const PROXY_PARTS = "bootstrap cluster endpoint listener route secret log all";

interface Completed {
  readonly names: readonly string[];
  readonly summary: string;
}

export function script(shell: string, commands: readonly Completed[]): string {
  const names = commands.flatMap((entry) => entry.names).join(" ");
  if (shell === "fish") {
    const lines = commands.map(
      (entry) => `complete -c weft -n __fish_use_subcommand -f -a ${entry.names[0]} -d '${entry.summary}'`,
    );
    return `${[
      ...lines,
      `complete -c weft -n '__fish_seen_subcommand_from image' -f -a '${IMAGE_VERBS}'`,
      `complete -c weft -n '__fish_seen_subcommand_from describe' -f -a '${DESCRIBED}'`,
      `complete -c weft -n '__fish_seen_subcommand_from proxy-config pc' -f -a '${PROXY_PARTS}'`,
      `complete -c weft -n '__fish_seen_subcommand_from completion' -f -a '${SHELLS}'`,
    ].join("\n")}\n`;
  }
  const body = `_weft() {
  local word="\${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${names}" -- "$word")); return; fi
  case "\${COMP_WORDS[1]}" in
    image) [ "$COMP_CWORD" -eq 2 ] && COMPREPLY=($(compgen -W "${IMAGE_VERBS}" -- "$word")) ;;
    completion) COMPREPLY=($(compgen -W "${SHELLS}" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _weft weft
`;
  return shell === "zsh" ? `#compdef weft\nautoload -U +X bashcompinit && bashcompinit\n${body}` : body;
}
