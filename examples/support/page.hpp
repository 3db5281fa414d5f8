#pragma once
#include <string_view>

namespace mpp::examples {

/// What surrounds the parts of a report. Colours are named once, for light and for dark.
inline constexpr std::string_view page_head = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="mpp report">
<title>MPP: memory, time and certified error</title>
<style>
:root { color-scheme: light dark; --paper: #ffffff; --panel: #f6f7f9; --ink: #1b2330; --soft: #5c6776; --line: #e2e6eb;
  --cool: #3554c8; --warm: #c2590a; }
@media (prefers-color-scheme: dark) { :root { --paper: #10141a; --panel: #171c24; --ink: #e4e8ee; --soft: #98a3b2;
  --line: #28303b; --cool: #8aa2ff; --warm: #f0a350; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 3rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em }
h2 { font-size: 1.4rem; margin: 3.5rem 0 .4rem; padding-top: 1.4rem; border-top: 1px solid var(--line) }
h3 { font-size: 1.05rem; margin: 2.6rem 0 .3rem }
p { margin: .3rem 0 1rem; color: var(--soft); max-width: 48rem }
nav { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1.4rem 0 }
nav a { color: var(--cool); background: var(--panel); border-radius: 10px; padding: .45rem .9rem; text-decoration: none }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; margin: 1.4rem 0 }
dl div { background: var(--panel); border-radius: 10px; padding: .9rem 1.1rem }
dt { font-size: .82rem; color: var(--soft) }
dd { margin: .15rem 0 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .86rem; font-variant-numeric: tabular-nums }
th, td { padding: .5rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
th { font-weight: 500; color: var(--soft); vertical-align: bottom; white-space: normal; min-width: 3.6rem }
.words { text-align: left }
th:first-child, td:first-child { padding-left: 0 }
figure { margin: 1rem 0; background: var(--panel); border-radius: 10px; padding: 1rem; overflow-x: auto }
svg { display: block; width: 100%; min-width: 34rem; height: auto; font-size: 12.5px }
svg .ink { fill: var(--ink) } svg .soft { fill: var(--soft) } svg .paper { fill: var(--panel); font-weight: 600 }
svg .cool { fill: var(--cool) } svg .warm, svg .warm-text { fill: var(--warm) }
svg .cool-line { stroke: var(--cool); stroke-width: 2; fill: none }
svg .warm-line { stroke: var(--warm); stroke-width: 2; fill: none }
svg .thin { stroke-width: 1 } svg .grid { stroke: var(--line) } svg .axis { stroke: var(--soft); stroke-width: .75 }
svg .mark { stroke: var(--soft); stroke-dasharray: 2 4 } svg .limit { stroke: var(--warm); stroke-dasharray: 5 4 }
</style>
</head>
<body>
<h1>Memory, time and certified error</h1>
<p>Every request starts at the cheapest precision and is released at the first level whose error bound is within the
epsilon asked for. What follows was measured by the programs that wrote this page, on the machine they ran on.</p>
)html";

inline constexpr std::string_view page_foot = "</body>\n</html>\n";

}  // namespace mpp::examples
