"""The report's style sheet: phone first, prints on A4, nothing fetched from anywhere."""

STYLE = """
:root {
  --ink: #17202c; --soft: #515d6d; --line: #d9dfe7; --paper: #fff; --ground: #f3f5f9; --wash: #eaf1fb;
  --blue: #0a56b4; --deep: #083b7f; --red: #c4161c; --mark: #ffc21a;
  --met: #0a56b4; --not-met: #c4161c; --unknown: #b06a00; --not-asked: #727d8c;
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink); line-height: 1.6; font-variant-numeric: tabular-nums;
  font-family: "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC",
    system-ui, sans-serif;
}
.page { max-width: 72rem; margin: 0 auto; padding: 0 1rem; }
[lang=en] { color: var(--soft); font-size: .86em; font-weight: 400; }
[tabindex]:focus-visible, a:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: #fff; color: var(--deep); padding: .5rem 1rem; z-index: 2; }

.top { background: #062e63; color: #fff; font-size: .86rem; }
.top .page { display: flex; justify-content: space-between; gap: 1rem; padding-block: .45rem; flex-wrap: wrap; }
.top [lang=en] { color: #d5e3f6; }
.demo { background: var(--mark); color: #3d2c00; font-weight: 700; border-radius: .25rem; padding: 0 .5rem; }
.demo [lang=en] { color: #3d2c00; }

.hero { background: linear-gradient(120deg, #083b7f, #0a56b4 60%, #1666c9); color: #fff; padding: 1.6rem 0 4.6rem; }
.hero h1 { margin: 0; font-size: 1.7rem; line-height: 1.3; letter-spacing: .02em; }
.hero h1 span { white-space: nowrap; }
.hero p { margin: .25rem 0 0; }
.hero [lang=en] { color: #dbe8fa; }
.dates { display: grid; gap: .15rem 2rem; margin: 1rem 0 0; padding: 0; list-style: none; font-size: .95rem; }
.dates b { font-weight: 600; }

.facts { display: grid; grid-template-columns: repeat(3, 1fr); gap: .6rem; margin: -3.5rem 0 0; }
.fact {
  background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; padding: .7rem .75rem;
  display: flex; flex-direction: column; box-shadow: 0 2px 8px rgb(8 59 127 / .07);
}
.fact dt { order: 2; line-height: 1.4; }
.fact dt [lang=en] { display: block; }
.fact dd { order: 1; margin: 0; font-size: 1.45rem; font-weight: 700; color: var(--deep); line-height: 1.25; }
.fact dd small { font-size: .95rem; font-weight: 600; }
.fact.fast { grid-column: 1 / -1; padding: .8rem 1rem; }
.fact.fast { border-left: .3rem solid var(--red); }
.fact.fast dd { color: var(--red); font-size: 2.1rem; }

nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; list-style: none; margin: 1rem 0 0; padding: 0 .2rem; }
nav a { display: inline-block; padding: .25rem 0; color: var(--blue); text-underline-offset: .15em; }

section { background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem; }
section { margin: 1rem 0; }
h2 { font-size: 1.2rem; line-height: 1.35; margin: 0 0 .9rem; }
h2 { padding-left: .7rem; border-left: .25rem solid var(--red); }
h2 [lang=en] { display: block; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .6rem; line-height: 1.4; }
h4 { font-size: 1rem; margin: 0 0 .4rem; line-height: 1.4; }
p { margin: .4rem 0; }
.bar { display: block; width: 100%; height: .85rem; border-radius: .2rem; }
.bar rect { vector-effect: non-scaling-stroke; stroke: #fff; stroke-width: 1; }
.bar .rest { fill: #e6ebf2; stroke: none; }
.met { fill: var(--met); background: var(--met); }
.not-met { fill: var(--not-met); background: var(--not-met); }
.unknown { fill: var(--unknown); background: var(--unknown); }
.not-asked { fill: var(--not-asked); background: var(--not-asked); }
.won { fill: var(--red); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; margin: 0; padding: 0; }
.legend { font-size: .92rem; }
.legend i { display: inline-block; width: .85rem; height: .85rem; border-radius: .2rem; }
.legend i { vertical-align: -.1rem; margin-right: .35rem; }

.funnel { list-style: none; margin: 0; padding: 0; }
.funnel li { margin: 0 0 .8rem; }
.funnel .row { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; }
.funnel b { font-size: 1.15rem; white-space: nowrap; }
.funnel .of { display: inline-block; min-width: 3.4rem; text-align: right; }
.funnel .of { color: var(--soft); font-size: .88rem; font-weight: 400; }
.funnel .bar { height: 1.2rem; }
.cards { display: grid; gap: .6rem; margin: 1.1rem 0 0; }
.card {
  border: 1px solid var(--line); border-left: .25rem solid var(--line); border-radius: .4rem; padding: .55rem .8rem;
  display: flex; justify-content: space-between; gap: 1rem; align-items: baseline;
}
.card dt { line-height: 1.4; }
.card dt [lang=en] { display: block; }
.card dd { margin: 0; font-weight: 700; font-size: 1.15rem; white-space: nowrap; }
.card.a { border-left-color: var(--met); }
.card.b { border-left-color: var(--not-met); }
.card.c { border-left-color: var(--unknown); }

.scroll { overflow-x: auto; margin: .6rem 0 0; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
caption { text-align: left; padding: .2rem 0 .4rem; color: var(--soft); font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .6rem; border-bottom: 1px solid var(--line); }
thead th { background: var(--wash); color: var(--deep); border-bottom: 2px solid #bcd2ee; line-height: 1.35; }
tbody th { font-weight: 500; line-height: 1.45; }
thead th [lang=en], tbody th [lang=en], td [lang=en] { display: block; }
.n { text-align: right; white-space: nowrap; }
.tag { display: block; width: max-content; margin: .1rem .35rem .15rem 0; white-space: nowrap; }
.tag { font-size: .78rem; font-weight: 600; border: 1px solid; border-radius: .25rem; padding: 0 .35rem; }
.tag [lang=en] { display: inline !important; color: inherit; }
.t-not_met { color: #b11218; }
.t-unknown { color: #8a5200; }
.less { display: block; color: var(--soft); font-size: .86rem; font-weight: 400; }
.less [lang=en] { display: inline !important; font-size: inherit; }

.department { background: var(--wash); color: var(--deep); border-radius: .4rem; padding: .4rem .8rem; }
.rules { display: grid; gap: 1.4rem 2.4rem; }
.rule { min-width: 0; }
.counts { display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: .4rem 0 0; padding: 0; list-style: none; }
.counts li { font-size: .9rem; color: var(--soft); }
.counts b { color: var(--ink); }

.hash, code { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "Liberation Mono", monospace; }
.hash { word-break: break-all; font-size: .84rem; }
.what dt { font-weight: 600; margin-top: .7rem; line-height: 1.45; }
.what dd { margin: .05rem 0 0; }
pre { background: #10223b; color: #f2f6fc; padding: .8rem 1rem; border-radius: .4rem; overflow-x: auto; }
pre { margin: .6rem 0 0; }
.note { background: var(--wash); border-left: .25rem solid var(--blue); border-radius: .3rem; padding: .7rem .9rem; }
.note { margin: 1rem 0 0; }
.note.strong { background: #fdecec; border-left-color: var(--red); margin: 0 0 .8rem; }
.note [lang=en], .steps [lang=en], .lead [lang=en] { display: block; }
.steps { padding-left: 1.4rem; margin: .4rem 0; }
.steps li { margin: .5rem 0; }
footer { background: #22303f; color: #e8edf3; font-size: .88rem; padding: 1.4rem 0 2rem; margin-top: 1.6rem; }
footer [lang=en] { color: #c6d0dc; }

@media (min-width: 40rem) {
  .dates { grid-template-columns: 1fr 1fr; }
  .cards { grid-template-columns: repeat(3, 1fr); }
}
@media (min-width: 56rem) {
  .hero { padding: 2.6rem 0 5.4rem; }
  .hero h1 { font-size: 2.3rem; }
  .dates { grid-template-columns: repeat(2, max-content); }
  .facts { grid-template-columns: 1.5fr 1fr 1fr 1fr; gap: 1rem; margin-top: -4rem; }
  .fact, .fact.fast { grid-column: auto; padding: 1.1rem 1.3rem; }
  .fact dd, .fact.fast dd { font-size: 2.3rem; }
  section { padding: 1.5rem 1.75rem; margin: 1.25rem 0; }
  h2 { font-size: 1.35rem; }
  h2 [lang=en] { display: inline; margin-left: .5rem; }
  .funnel li { display: grid; grid-template-columns: 24rem 1fr; gap: 1.4rem; align-items: center; }
  .funnel li { margin-bottom: .6rem; }
  .tag { display: inline-block; }
  .hash { font-size: .78rem; }
  .rules { grid-template-columns: 1fr 1fr; }
  .rule:only-child { grid-column: 1 / -1; display: grid; grid-template-columns: 1fr 1fr; gap: 0 2.4rem; }
  .rule:only-child .scroll { margin-top: 0; }
  .two { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2.4rem; align-items: start; }
  .two .what dt:first-child { margin-top: .2rem; }
}
@media print {
  @page { size: A4; margin: 14mm; }
  body { background: #fff; font-size: 10pt; }
  .skip, nav { display: none; }
  .top, .hero, .facts, .fact, thead th, .bar, .legend i, .note, .demo, .department, footer {
    -webkit-print-color-adjust: exact; print-color-adjust: exact;
  }
  .page { max-width: none; }
  section { border: 0; padding: .2rem 0; margin: .8rem 0; }
  h2, h3, h4 { break-after: avoid; break-inside: avoid; }
  .fact, .rule, .card, .funnel li, .scroll, .what dt, .what dd, .steps li, .note { break-inside: avoid; }
  .rules { grid-template-columns: 1fr 1fr; }
  .rule:only-child { grid-column: 1 / -1; }
  .tag { display: inline-block; }
  pre { background: #fff; color: #000; border: 1px solid #999; white-space: pre-wrap; }
  .scroll { overflow: visible; }
}
"""
