//===----------------------------------------------------------------------===//
// The dashboard: one page, no external assets.
//===----------------------------------------------------------------------===//

/// The page at `/` of the admin listener. It reads `/v1/history` once and then follows `/v1/events`.
enum DashboardPage {
    static let html: StaticString = #"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Trainyard</title>
        <style>
        :root { color-scheme: light dark; --back: #fbfaf7; --card: #ffffff; --ink: #1d2321; --soft: #5c6662; --line: #dcdad2;
          --fleet: #0b7a5c; --base: #b3541e; --warn: #a11d2f; --idle: #e8e6df; }
        @media (prefers-color-scheme: dark) { :root { --back: #14181a; --card: #1c2225; --ink: #e6e9e7; --soft: #9aa5a1;
          --line: #323a3d; --fleet: #4cc9a0; --base: #f0a06a; --warn: #ff7a8a; --idle: #2a3134; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
        header, main { max-width: 76rem; margin: 0 auto; padding: 1rem; }
        header { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; align-items: baseline; border-bottom: 1px solid var(--line); }
        h1 { font-size: 1.25rem; margin: 0; } h2 { font-size: 1rem; margin: 0 0 .6rem; }
        .soft { color: var(--soft); } #link.down { color: var(--warn); font-weight: 600; }
        section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .9rem; margin: 0 0 1rem; }
        table { border-collapse: collapse; width: 100%; } th, td { text-align: right; padding: .25rem .5rem; }
        th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 1px solid var(--line); }
        td { font-variant-numeric: tabular-nums; } tbody tr + tr td { border-top: 1px solid var(--line); }
        .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem; }
        .charts section { margin: 0; } figure { margin: 0; } figcaption { display: flex; justify-content: space-between; gap: .5rem; }
        svg { width: 100%; height: 7rem; display: block; } .f { stroke: var(--fleet); } .b { stroke: var(--base); stroke-dasharray: 4 3; }
        path { fill: none; stroke-width: 1.8; vector-effect: non-scaling-stroke; }
        .key i { display: inline-block; width: 1.4rem; border-top: 3px solid var(--fleet); vertical-align: middle; margin-right: .3rem; }
        .key i.base { border-top-style: dashed; border-color: var(--base); }
        .nodes { display: grid; grid-template-columns: repeat(auto-fill, minmax(2.3rem, 1fr)); gap: .25rem; list-style: none; padding: 0; margin: 0 0 .8rem; }
        .nodes button { width: 100%; aspect-ratio: 1; border: 1px solid var(--line); border-radius: .25rem; background: var(--idle);
          color: var(--ink); font: inherit; font-size: .7rem; padding: 0; cursor: default; }
        .nodes button.failed { outline: 2px solid var(--warn); } .nodes button.draining, .nodes button.drained { border-style: dashed; opacity: .7; }
        button:focus-visible { outline: 3px solid var(--fleet); outline-offset: 1px; }
        .wide { overflow-x: auto; } footer { max-width: 76rem; margin: 0 auto; padding: 0 1rem 2rem; }
        </style>
        </head>
        <body>
        <header>
          <h1>Trainyard</h1><span id="model"></span><span class="soft" id="clock"></span>
          <span id="link" role="status" aria-live="polite">connecting</span>
        </header>
        <main>
          <section aria-labelledby="h-compare"><h2 id="h-compare">Fleet beside baseline</h2>
            <div class="wide"><table><thead id="head"></thead><tbody id="body"></tbody></table></div>
            <p class="soft" id="grades"></p>
          </section>
          <p class="key"><span><i></i>fleet</span> &nbsp; <span id="basekey"><i class="base"></i>baseline</span>
            <span class="soft">&nbsp; last ten minutes, per modelled second</span></p>
          <div class="charts" id="charts"></div>
          <section aria-labelledby="h-nodes" style="margin-top:1rem"><h2 id="h-nodes">Nodes</h2>
            <p class="soft" id="node" role="status" aria-live="polite">Shade is the share of slots in use. Move to a node with Tab to read it.</p>
            <div id="nodes"></div>
          </section>
        </main>
        <footer class="soft">Every figure is modelled. <a href="/v1/report">Report</a>, <a href="/v1/fleet">fleet</a>, <a href="/metrics">metrics</a></footer>
        <script>
        "use strict";
        const $ = id => document.getElementById(id);
        const charts = [["tokensPerSecond", "Output tokens per second", 0, 1, ""], ["ttftSeconds", "TTFT, mean", 1, 1000, " ms"],
          ["tpotSeconds", "TPOT, mean", 2, 1000, " ms"], ["running", "Running requests", 0, 1, ""],
          ["waiting", "Waiting requests", 0, 1, ""], ["wallWatts", "Wall power", 1, .001, " kW"]];
        let history = [];
        const number = (v, d = 0) => v == null || !isFinite(v) ? "not known" :
          v.toLocaleString("en", { minimumFractionDigits: d, maximumFractionDigits: d });
        function row(title, sides, pick, digits, unit) {
          const values = sides.map(pick);
          const ratio = values.length > 1 && values[0] != null && values[1] ? number(values[0] / values[1], 2) + " ×" : "";
          return "<tr><td>" + title + "</td>" + values.map(v => "<td>" + number(v, digits) + (v == null ? "" : unit) + "</td>").join("") +
            (sides.length > 1 ? "<td>" + ratio + "</td>" : "") + "</tr>";
        }
        const text = s => String(s).replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
        function table(state) {
          const s = state.sides;
          $("head").innerHTML = "<tr><th scope=col>&nbsp;</th>" + s.map(x => "<th scope=col>" + text(x.side) + "<br><span class=soft>" +
            text(x.fleet) + "</span></th>").join("") + (s.length > 1 ? "<th scope=col>fleet ÷ baseline</th>" : "") + "</tr>";
          $("body").innerHTML = row("Requests finished", s, x => x.finished, 0, "") + row("Requests refused", s, x => x.refused, 0, "") +
            row("Output tokens", s, x => x.outputTokens, 0, "") + row("Price per hour", s, x => x.usdPerHour, 2, " $") +
            row("Cost per million output tokens", s, x => x.usdPerMillionOutputTokens, 2, " $") +
            row("Wall energy per output token", s, x => x.wallJoulesPerOutputToken, 2, " J") +
            row("Carbon per million output tokens", s, x => x.gramsPerMillionOutputTokens, 0, " gCO2e");
          $("grades").textContent = s.map(x => x.side + ": weakest grade " + x.grade + ", price " + x.priceBasis).join(" · ");
          $("model").textContent = state.model;
          $("clock").textContent = "modelled " + number(state.modelledSeconds) + " s, time scale " + state.timeScale;
          $("basekey").hidden = s.length < 2;
        }
        function line(key, side, top, from, to) {
          let d = "", pen = false;
          for (const p of history) {
            const v = p.sides[side] && p.sides[side][key];
            if (v == null) { if (key !== "ttftSeconds" && key !== "tpotSeconds") pen = false; continue; }
            const x = (p.unixSeconds - from) / Math.max(1, to - from) * 300, y = 98 - v / top * 94;
            d += (pen ? "L" : "M") + x.toFixed(1) + " " + y.toFixed(1); pen = true;
          }
          return d;
        }
        function draw(sides) {
          if (!$("charts").children.length) $("charts").innerHTML = charts.map(c =>
            "<section><figure><figcaption><span>" + c[1] + "</span><span class=soft id=v-" + c[0] + "></span></figcaption><svg viewBox='0 0 300 100' preserveAspectRatio=none role=img aria-label='" +
            c[1] + "'><path class=b id=b-" + c[0] + "></path><path class=f id=f-" + c[0] + "></path></svg></figure></section>").join("");
          if (!history.length) return;
          const to = history[history.length - 1].unixSeconds, from = Math.min(history[0].unixSeconds, to - 60);
          for (const [key, , digits, scale, unit] of charts) {
            let top = 1e-9;
            for (const p of history) for (const s of p.sides) if (s[key] > top) top = s[key];
            $("f-" + key).setAttribute("d", line(key, 0, top, from, to));
            $("b-" + key).setAttribute("d", sides > 1 ? line(key, 1, top, from, to) : "");
            $("v-" + key).textContent = "top " + number(top * scale, digits) + unit;
          }
        }
        function nodes(state) {
          const box = $("nodes");
          for (const side of state.sides) {
            let list = $("n-" + side.side);
            if (!list || list.children.length !== side.nodes.length) {
              if (list) { list.previousSibling.remove(); list.remove(); }
              const h = document.createElement("h3"); h.textContent = side.fleet; h.style = "font-size:.9rem;margin:.4rem 0";
              list = document.createElement("ul"); list.className = "nodes"; list.id = "n-" + side.side;
              list.innerHTML = side.nodes.map(() => "<li><button type=button></button></li>").join("");
              box.append(h, list);
            }
            side.nodes.forEach((n, i) => {
              const b = list.children[i].firstChild, share = Math.round(n.occupancy * 100);
              b.className = n.state; b.textContent = n.state === "failed" ? "×" : share + "%";
              const colour = side.side === "fleet" ? "var(--fleet)" : "var(--base)";
              b.style.background = "color-mix(in srgb, " + colour + " " + Math.min(70, share * .7) + "%, var(--idle))";
              const label = n.id + " (" + n.instance + "): " + n.state + ", " + n.running + " running, " + n.waiting + " waiting, " + share + " % of slots";
              b.title = label; b.setAttribute("aria-label", label); b.onfocus = () => { $("node").textContent = label; };
            });
          }
        }
        function show(state) {
          table(state); nodes(state);
          const points = state.sides.map(s => s.now).filter(Boolean);
          if (points.length && (!history.length || history[history.length - 1].unixSeconds < state.unixSeconds))
            history.push({ unixSeconds: state.unixSeconds, sides: points });
          if (history.length > 600) history.shift();
          draw(state.sides.length);
        }
        async function start() {
          try { history = await (await fetch("/v1/history")).json(); } catch (e) { history = []; }
          const events = new EventSource("/v1/events");
          events.onopen = () => { $("link").textContent = "live"; $("link").className = ""; };
          events.onerror = () => { $("link").textContent = "connection lost, trying again"; $("link").className = "down"; };
          events.onmessage = e => show(JSON.parse(e.data));
        }
        start();
        </script>
        </body>
        </html>

        """#
}
