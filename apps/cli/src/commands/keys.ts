import { toJson } from "@bufbuild/protobuf";
import { Command, Option } from "commander";
import { ApiKeySchema, ApiKey_Role } from "@servable/contracts/iam/v1/iam";
import { lastPart, withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { wholeNumber } from "../option-parsers.ts";
import { formatTime, renderTable } from "../render/table.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

const ROLES = { user: ApiKey_Role.USER, developer: ApiKey_Role.DEVELOPER, admin: ApiKey_Role.ADMIN } as const;
const DAY_MS = 24 * 60 * 60 * 1_000;

/** `servable keys …`: who may call. */
export function keysCommand(terminal: Terminal): Command {
  return new Command("keys")
    .description("Create, list and revoke API keys.")
    .addHelpText("after", "\nRoles: user (inference and reading), developer (also models, data sets, jobs), admin (also keys and projects, everywhere).\n\nExamples:\n  $ servable keys create --role user --name \"web shop\"\n  $ servable keys list\n  $ servable keys revoke k4f7q2")
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(revokeCommand(terminal));
}

function createCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("create"))
    .description("Create a key; its secret is shown this once.")
    .addOption(new Option("--role <role>", "what it allows").choices(Object.keys(ROLES)).default("user"))
    .option("--name <text>", "a name for people")
    .option("--expires-in-days <n>", "when it stops to work (default: never)", wholeNumber(1))
    .addHelpText("after", "\nExample:\n  $ export SERVABLE_API_KEY=$(servable keys create --role developer --json | jq -r .secret)")
    .action((options: CommonOptions & { role: keyof typeof ROLES; name?: string; expiresInDays?: number }) =>
      withClient(options, terminal, async (client) => {
        const { name: displayName, expiresInDays } = options;
        const { apiKey, secret } = await client.access.createKey({ role: ROLES[options.role], displayName, expireTime: expiresInDays === undefined ? undefined : new Date(Date.now() + expiresInDays * DAY_MS) });
        if (options.json) return printJson(terminal, { apiKey: apiKey === undefined ? undefined : toJson(ApiKeySchema, apiKey), secret });
        printLine(terminal, secret);
        terminal.stderr.write(`${lastPart(apiKey?.name ?? "")} (${options.role}): keep it now, it cannot be shown again\n`);
      }),
    );
}

function listCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("list")).description("List the keys of the project, without secrets.").action((options: CommonOptions) =>
    withClient(options, terminal, async (client) => {
      const keys = await client.access.keys();
      if (options.json) return printJson(terminal, keys.map((key) => toJson(ApiKeySchema, key)));
      printLine(terminal, renderTable(["key", "role", "begins with", "name", "made (UTC)", "expires (UTC)", "last used (UTC)"], keys.map((key) => [lastPart(key.name), ApiKey_Role[key.role].toLowerCase(), key.prefix, key.displayName, formatTime(key.createTime?.seconds), formatTime(key.expireTime?.seconds) || "never", formatTime(key.lastUseTime?.seconds) || "never"])));
    }),
  );
}

function revokeCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("revoke")).description("Revoke a key at once.").argument("<key>", "its id, as `keys list` shows it").action((key: string, options: CommonOptions) =>
    withClient(options, terminal, async (client) => {
      await client.access.revokeKey(key);
      if (options.json) printJson(terminal, { revoked: key });
      else printLine(terminal, `${key} is revoked`);
    }),
  );
}
