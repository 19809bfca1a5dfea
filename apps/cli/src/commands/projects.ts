import { toJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import { ProjectSchema } from "@servable/contracts/iam/v1/iam";
import { lastPart, withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { formatTime, renderTable } from "../render/table.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

/** `servable projects …`: tenants. */
export function projectsCommand(terminal: Terminal): Command {
  const create = withCommonOptions(new Command("create"))
    .description("Create a project.")
    .argument("<project>", "its id")
    .option("--name <text>", "a name for people")
    .action((project: string, options: CommonOptions & { name?: string }) =>
      withClient(options, terminal, async (client) => {
        const made = await client.access.createProject(project, { displayName: options.name });
        if (options.json) return printJson(terminal, toJson(ProjectSchema, made));
        printLine(terminal, `${project} is made\nNext: servable keys create --project ${project} --role developer`);
      }),
    );
  const list = withCommonOptions(new Command("list")).description("List the projects.").action((options: CommonOptions) =>
    withClient(options, terminal, async (client) => {
      const projects = await client.access.projects();
      if (options.json) return printJson(terminal, projects.map((project) => toJson(ProjectSchema, project)));
      printLine(terminal, renderTable(["project", "name", "made (UTC)"], projects.map(({ name, displayName, createTime }) => [lastPart(name), displayName, formatTime(createTime?.seconds)])));
    }),
  );
  return new Command("projects")
    .description("Create and list projects; models, data sets, jobs and keys belong to one.")
    .addHelpText("after", '\nExamples:\n  $ servable projects create shop --name "Web shop"\n  $ servable projects list')
    .addCommand(create)
    .addCommand(list);
}
