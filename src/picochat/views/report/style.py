"""The style of report.html: light and dark, 320 px, laptop and paper. Text has a contrast of 4.5 to 1 and more."""

from __future__ import annotations

from picochat.views.markup import Markup

_LIGHT = """
--ground: #ffffff; --panel: #f5f6f8; --ink: #1a1d21; --dim: #555d68; --rule: #d3d8de;
--pass: #17663a; --pass-ground: #e0f3e7; --warn: #7a4b00; --warn-ground: #fdf0d3; --block: #a1121f;
--block-ground: #fde4e5; --waived: #5b2d8c; --waived-ground: #efe6fa; --other: #4a4f57;
--other-ground: #e8eaed; --s0: #0b57a4; --s1: #b3470f; --s2: #17663a;
"""
_DARK = """
--ground: #14171b; --panel: #1d2126; --ink: #e8eaed; --dim: #a7b0bb; --rule: #3a414a;
--pass: #8fdcab; --pass-ground: #14361f; --warn: #f3c875; --warn-ground: #3d2d08; --block: #ff9c9f;
--block-ground: #4a1519; --waived: #d0b3f5; --waived-ground: #35204f; --other: #c3c9d1;
--other-ground: #2b3037; --s0: #7db4f5; --s1: #f2a06b; --s2: #8fdcab;
"""
_SCREEN = """
* { box-sizing: border-box; }
html { background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
  "Helvetica Neue", Arial, sans-serif; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 3rem; max-width: 72rem; overflow-wrap: break-word; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-bottom: .25rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1.02rem; margin: 1.5rem 0 .25rem; }
p, ul { margin: .5rem 0; max-width: 46rem; }
ul { padding-left: 1.25rem; }
.ids { columns: 14rem; max-width: none; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .86em; }
.digest { font-size: .78em; word-break: break-all; }
td .digest { font-size: .76em; }
.path { overflow-wrap: anywhere; }
.note, caption { color: var(--dim); }
.verdict { background: var(--panel); border: 1px solid var(--rule); border-left: .4rem solid var(--other);
  border-radius: .4rem; padding: 1rem 1.1rem; }
.verdict.approved { border-left-color: var(--pass); }
.verdict.warn { border-left-color: var(--warn); }
.verdict.blocked { border-left-color: var(--block); }
.verdict p { margin: .35rem 0; }
.verdict .badge { font-size: 1.15rem; }
.badge { display: inline-block; white-space: nowrap; font-weight: 600; font-size: .88rem; border-radius: .3rem;
  padding: .05rem .5rem; color: var(--other); background: var(--other-ground); }
.badge.pass, .badge.approved { color: var(--pass); background: var(--pass-ground); }
.badge.warn { color: var(--warn); background: var(--warn-ground); }
.badge.waived { color: var(--waived); background: var(--waived-ground); }
.badge.block, .badge.blocked { color: var(--block); background: var(--block-ground); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .5rem 1.25rem;
  margin: .75rem 0; }
.facts dt { color: var(--dim); font-size: .85rem; }
.facts dd { margin: 0; font-weight: 500; }
table { border-collapse: collapse; width: 100%; margin: .75rem 0 1.25rem; font-size: .92rem; }
caption { text-align: left; font-size: .9rem; padding-bottom: .25rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--rule);
  font-variant-numeric: tabular-nums; }
thead th { font-weight: 600; color: var(--dim); white-space: nowrap; }
tbody th { font-weight: 500; }
.fix { display: block; color: var(--dim); }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1rem 1.5rem; }
figure { margin: 0; break-inside: avoid; max-width: 30rem; }
figcaption { color: var(--dim); font-size: .86rem; }
.chart { display: block; width: 100%; height: auto; font: 11px system-ui, Arial, sans-serif; }
.chart text { fill: var(--ink); }
.chart .tick { fill: var(--dim); }
.chart .end { text-anchor: end; }
.chart .middle { text-anchor: middle; }
.chart .grid { stroke: var(--rule); stroke-width: .75; }
.chart .axis { stroke: var(--dim); stroke-width: 1; }
.series line, .series polyline { fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linejoin: round; }
.series polyline.thin { stroke-width: 1; stroke-dasharray: 4 3; }
.series circle { fill: currentColor; }
.s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); }
.sample { background: var(--panel); border: 1px solid var(--rule); border-radius: .4rem; padding: .6rem .8rem;
  margin: .6rem 0; max-width: 46rem; break-inside: avoid; }
.sample pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .15rem 0 .4rem; }
.sample .who { color: var(--dim); font-size: .82rem; }
footer { margin-top: 3rem; border-top: 1px solid var(--rule); color: var(--dim); font-size: .88rem; }
"""
_NARROW = """
body { padding: 1rem .85rem 2rem; }
h1 { font-size: 1.4rem; }
.facts { grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: .5rem .75rem; }
table, caption, tbody, tr, th, td { display: block; }
thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
tr { border-bottom: 1px solid var(--rule); padding: .5rem 0; }
th, td { border: 0; padding: .1rem 0; }
tbody th { font-weight: 600; }
td[data-label]::before { content: attr(data-label) ": "; color: var(--dim); }
td:empty { display: none; }
"""
_PRINT = """
@page { margin: 16mm 14mm; }
html { font-size: 10pt; }
body { max-width: none; padding: 0; }
h2, h3, caption, thead { break-after: avoid; }
table:not(.long) { break-inside: avoid; }
tr, .sample, .verdict, figure { break-inside: avoid; }
thead { display: table-header-group; }
.curves { grid-template-columns: repeat(2, 1fr); }
.badge, .verdict, .sample { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
"""

STYLE = Markup(
    f":root {{ color-scheme: light dark; {_LIGHT} }}\n"
    f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}\n"
    f"{_SCREEN}@media screen and (max-width: 44rem) {{ {_NARROW} }}\n@media print {{ :root {{ {_LIGHT} }} {_PRINT} }}\n"
)
