// One sheet for light and dark: colours are variables, the plots use them by class.

const SERIES = ["#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d", "#475569", "#92400e"];

/** The page's style sheet. It loads nothing. */
export const REPORT_STYLE = `
:root{color-scheme:light dark;--text:#1f2937;--soft:#6b7280;--back:#fff;--line:#e5e7eb;--right:#2563eb;--wrong:#dc2626}
@media (prefers-color-scheme:dark){:root{--text:#e5e7eb;--soft:#9ca3af;--back:#111827;--line:#374151;--right:#60a5fa;--wrong:#f87171}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);max-width:980px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.15rem;border-bottom:1px solid var(--line);padding-bottom:.2rem;margin-top:2rem}
.soft,figcaption,.tick,.axis{color:var(--soft);fill:var(--soft)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:1rem}
figure{margin:0}svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif}.cell{fill:var(--text)}
.grid{stroke:var(--line)}.line,.dashed{fill:none;stroke:currentColor;stroke-width:1.8}.dashed{stroke-dasharray:4 4}circle{fill:currentColor}.dot{fill-opacity:.5}
.right{fill:var(--right)}.wrong{fill:var(--wrong)}rect.right,rect.wrong{stroke:var(--line);stroke-width:.5}
.legend{display:flex;flex-wrap:wrap;gap:.2rem .9rem}.key i{display:inline-block;width:.8em;height:.8em;margin-right:.3em;border-radius:2px;background:currentColor}
table{border-collapse:collapse;width:100%;font-size:.9rem;display:block;overflow-x:auto}th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
td.code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}
${SERIES.map((color, index) => `.s${index}{color:${color}}`).join("")}
`;
