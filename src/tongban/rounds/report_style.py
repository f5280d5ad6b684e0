"""The report's style sheet: phone first, prints on A4, nothing fetched from anywhere."""

STYLE = """
:root {
  --ink: #17202c; --soft: #515d6d; --line: #d9dfe7; --paper: #fff; --ground: #f3f5f9;
  --blue: #0a56b4; --deep: #083b7f; --red: #c4161c; --met: #0a56b4; --not-met: #c4161c; --unknown: #b06a00;
  --not-asked: #727d8c; --wash: #e8f0fb; --mark: #ffc21a;
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--ground); color: var(--ink); line-height: 1.6; font-size: 1rem;
  font-family: "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC", system-ui, sans-serif;
  font-variant-numeric: tabular-nums;
}
.page { max-width: 70rem; margin: 0 auto; padding: 0 1rem; }
[lang=en] { color: var(--soft); font-size: .86em; font-weight: 400; }
a { color: var(--blue); text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: #fff; padding: .5rem 1rem; z-index: 2; }

.top { background: #062e63; color: #fff; font-size: .86rem; }
.top .page { display: flex; justify-content: space-between; gap: 1rem; padding-block: .45rem; flex-wrap: wrap; }
.top [lang=en] { color: #d5e3f6; }
.demo { background: var(--mark); color: #3d2c00; font-weight: 700; border-radius: .25rem; padding: 0 .5rem; }
.demo [lang=en] { color: #3d2c00; }

.hero { background: linear-gradient(120deg, #083b7f, #0a56b4 60%, #1666c9); color: #fff; padding: 2rem 0 5.2rem; }
.hero h1 { margin: 0; font-size: 1.75rem; line-height: 1.3; letter-spacing: .02em; }
.hero p { margin: .25rem 0 0; }
.hero [lang=en] { color: #dbe8fa; }
.hero .dates { display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; margin-top: 1rem; padding: 0; list-style: none; font-size: .95rem; }
.hero .dates b { font-weight: 600; }

.facts { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; margin: -3.9rem 0 0; padding: 0; }
.fact { background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1rem; display: flex; flex-direction: column; }
.fact dt { order: 2; line-height: 1.4; } .fact dd { margin: 0; order: 1; font-size: 1.75rem; font-weight: 700; color: var(--deep); line-height: 1.2; }
.fact dd small { font-size: .95rem; font-weight: 600; }
.fact dt [lang=en] { display: block; }
.fact.fast dd { color: var(--red); }

section { background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; margin: 1rem 0; padding: 1.1rem 1rem; }
h2 { font-size: 1.2rem; line-height: 1.35; margin: 0 0 .9rem; padding-left: .7rem; border-left: .25rem solid var(--red); }
h2 [lang=en] { display: block; }
h3 { font-size: 1.02rem; margin: 1.4rem 0 .35rem; line-height: 1.4; }
h3:first-of-type { margin-top: .2rem; }
h4 { font-size: .95rem; margin: 1rem 0 .2rem; }
p { margin: .4rem 0; }
.bar { display: block; width: 100%; height: .85rem; border-radius: .2rem; }
.bar .rest { fill: #e9edf3; } .bar rect { vector-effect: non-scaling-stroke; stroke: #fff; stroke-width: 1; }
.bar .rest { stroke: none; }
.met { fill: var(--met); background: var(--met); } .not-met { fill: var(--not-met); background: var(--not-met); }
.unknown { fill: var(--unknown); background: var(--unknown); } .not-asked { fill: var(--not-asked); background: var(--not-asked); }
.won { fill: var(--red); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; margin: 0 0 .9rem; padding: 0; font-size: .92rem; }
.legend i { display: inline-block; width: .85rem; height: .85rem; border-radius: .2rem; vertical-align: -.1rem; margin-right: .35rem; }

.funnel { list-style: none; margin: 0; padding: 0; }
.funnel li { margin: 0 0 .8rem; }
.funnel .row { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; }
.funnel b { font-size: 1.15rem; white-space: nowrap; } .funnel .of { color: var(--soft); font-size: .88rem; font-weight: 400; }
.funnel .bar { height: 1.15rem; }
.cards { display: grid; gap: .6rem; margin: .9rem 0 0; padding: 0; }
.card { border: 1px solid var(--line); border-left: .25rem solid var(--line); border-radius: .4rem; padding: .55rem .8rem; display: flex; justify-content: space-between; gap: 1rem; align-items: baseline; }
.card dt { line-height: 1.4; } .card dd { margin: 0; font-weight: 700; font-size: 1.1rem; white-space: nowrap; }
.card.a { border-left-color: var(--met); } .card.b { border-left-color: var(--not-met); } .card.c { border-left-color: var(--unknown); }

.scroll { overflow-x: auto; margin: .5rem 0 0; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
caption { text-align: left; padding: .2rem 0 .4rem; color: var(--soft); font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .6rem; border-bottom: 1px solid var(--line); }
thead th { background: var(--wash); color: var(--deep); border-bottom: 2px solid #bcd2ee; line-height: 1.35; }
thead th [lang=en] { display: block; font-weight: 400; }
tbody th { font-weight: 500; } tbody th [lang=en], td [lang=en] { display: block; }
.n { text-align: right; white-space: nowrap; }
.tag { white-space: nowrap; font-weight: 600; } .tag.t-not_met { color: var(--not-met); } .tag.t-unknown { color: #8f5600; }

.rule { margin: 1.3rem 0 0; padding-top: 1rem; border-top: 1px solid var(--line); }
.rule h4 { margin: 0 0 .35rem; font-size: 1rem; } .rule h4 [lang=en] { margin-left: .3rem; }
.counts { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .35rem 0 0; padding: 0; list-style: none; font-size: .9rem; color: var(--soft); }
.counts b { color: var(--ink); }

code, .hash { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "Liberation Mono", monospace; font-size: .84rem; }
.hash { word-break: break-all; }
.what { margin: .4rem 0 0; } .what dt { font-weight: 600; margin-top: .6rem; } .what dd { margin: .05rem 0 0; }
pre { background: #10223b; color: #f2f6fc; padding: .8rem 1rem; border-radius: .4rem; overflow-x: auto; margin: .5rem 0; }
pre code { font-size: .9rem; }
.note { background: var(--wash); border-left: .25rem solid var(--blue); border-radius: .3rem; padding: .7rem .9rem; margin: .9rem 0 0; }
.note.strong { background: #fdecec; border-left-color: var(--red); }
ol.steps { padding-left: 1.3rem; } ol.steps li { margin: .3rem 0; }
footer { background: #22303f; color: #e8edf3; font-size: .88rem; padding: 1.4rem 0 2rem; margin-top: 1.6rem; }
footer [lang=en] { color: #c6d0dc; }

@media (min-width: 48rem) {
  .hero { padding: 2.8rem 0 5.6rem; } .hero h1 { font-size: 2.3rem; }
  .facts { grid-template-columns: repeat(4, 1fr); gap: 1rem; } .fact { padding: 1.1rem 1.25rem; } .fact dd { font-size: 2.1rem; }
  section { padding: 1.4rem 1.6rem; margin: 1.25rem 0; }
  h2 { font-size: 1.35rem; } h2 [lang=en] { display: inline; margin-left: .5rem; }
  .funnel li { display: grid; grid-template-columns: 21rem 1fr; gap: 1.2rem; align-items: center; margin-bottom: .6rem; }
  .cards { grid-template-columns: repeat(3, 1fr); }
  .two { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2rem; }
}
@media print {
  @page { size: A4; margin: 14mm; }
  body { background: #fff; font-size: 10.5pt; } .skip { display: none; }
  .hero, .top, footer, .fact, thead th, .bar rect, .legend i, .note, .demo { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  .hero { padding: 1.2rem 0 4.6rem; } .page { max-width: none; }
  section { border: 0; padding: .2rem 0; margin: .8rem 0; } h2, h3, h4 { break-after: avoid; }
  .fact, .rule, tr, .card, .funnel li { break-inside: avoid; }
  pre { background: #fff; color: #000; border: 1px solid #999; white-space: pre-wrap; } .scroll { overflow: visible; }
}
"""
