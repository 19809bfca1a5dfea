// Names of classes and columns come from people's data: whatever is put into a page is escaped unless this file made it.

/** Markup that is safe to put into a page as it is. */
export interface Html {
  readonly markup: string;
}

/** What a template takes: text and numbers are escaped, markup and lists of it stand as they are. */
export type HtmlPart = string | number | bigint | undefined | Html | readonly Html[];

/** Builds markup: html`<p>${name}</p>`. Text is safe in elements and in double-quoted attributes, and nowhere else. */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlPart[]): Html {
  return { markup: parts.reduce((text, part, index) => text + markupOf(values[index - 1]) + part) };
}

function markupOf(value: HtmlPart): string {
  if (value === undefined) return "";
  if (typeof value !== "object") return escapeHtml(String(value));
  return "markup" in value ? value.markup : value.map(({ markup }) => markup).join("");
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text for elements and quoted attributes. Control characters that XML and HTML forbid become the replacement character. */
export function escapeHtml(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "\ufffd").replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
