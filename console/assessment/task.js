// An assessment's task: the hosted repository, hidden tests and reference solution, and their check.

import * as api from "../shared/api.js";
import { confirm, field, runAction, toast } from "../shared/dialogs.js";
import { fill, h, pairs } from "../shared/dom.js";
import { formatBytes } from "../shared/numbers.js";
import { errorNotice, renderPageAsync } from "../shared/states.js";
import { loadRunnerHint, runResult, testName } from "../shared/tests.js";
import { t } from "../shared/texts.js";
import { formatDateTime } from "../shared/time.js";
import { longText, untrusted } from "../shared/untrusted.js";

const REFRESH_MS = 5_000;
const MAX_NAMES = 200;
const ARCHIVES = [".zip", ".gz", ".tgz"];
const PATCHES = [".patch", ".diff"];
const FILES = { repository: [...ARCHIVES, ".bundle"], tests: ARCHIVES, reference: [...ARCHIVES, ...PATCHES] };

export async function show(main, { assessmentId }, { can, signal, setTitle }) {
  setTitle(t("task.title"));
  const path = `/v1/assessments/${assessmentId}`;
  const get = (part, name) => api.get(path + part, { signal }).then((body) => body[name], orNull);
  const loadCheck = async () => {
    const check = await get("/tests/check", "check");
    return check?.state === "running" ? { ...check, hint: await loadRunnerHint(signal) } : check;
  };
  await renderPageAsync(main, t("task.title"), load, page);

  async function load() {
    const [{ assessment }, check, ...files] = await Promise.all([
      api.get(path, { signal }),
      loadCheck(),
      ...Object.keys(FILES).map((kind) => get(`/${kind}`, kind)),
    ]);
    return { assessment, check, files: Object.fromEntries(Object.keys(FILES).map((kind, n) => [kind, files[n]])) };
  }

  function page({ assessment, check, files }) {
    const panels = Object.entries(files).map(([kind, file]) => filePanel(kind, file));
    const isComplete = Object.values(files).every(Boolean);
    const checked = checkPanel(check, isComplete);
    return [
      h("p", { class: "trail" }, h("a", { href: `#/assessments/${assessmentId}` }, assessment.title)),
      h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, t("task.title"))),
      h("p", { class: "quiet" }, t("task.intro")),
      isComplete ? [checked, panels] : [panels, checked],
    ];
  }

  async function reload(text) {
    const data = await load();
    if (signal.aborted) return;
    fill(main, ...page(data));
    main.querySelector("h1").focus();
    toast(text);
  }

  function filePanel(kind, file) {
    const message = h("div");
    const showError = (error) => {
      if (!(error instanceof api.ApiError)) console.error(error);
      fill(message, errorNotice(error));
    };
    return h(
      "section",
      { class: "panel" },
      h("h2", {}, t(`task.${kind}.title`), kind === "tests" && file && !file.settings.serve && [" ", h("span", { class: "badge" }, t("tests.marks.inProcess"))]),
      h("p", { class: "quiet" }, t(`task.${kind}.hint`)),
      file ? fileDetails(file) : h("p", {}, t("task.noFile")),
      can("write") && [field(t(file ? "task.actions.replace" : "task.actions.upload"), h("input", { type: "file", accept: FILES[kind].join(), onchange: upload })), message, file && removeButton()],
    );

    async function upload({ currentTarget: input }) {
      const [chosen] = input.files;
      if (!chosen) return;
      fill(message, h("p", { class: "quiet loading" }, t("task.uploading", { size: formatBytes(chosen.size) })));
      const send = async () => {
        await api.upload(`${path}/${kind}`, chosen, contentType(kind, chosen.name));
        await reload(t(`task.${kind}.saved`));
      };
      await runAction(input, send, showError);
      input.value = "";
    }

    function removeButton() {
      const run = () => api.remove(`${path}/${kind}`);
      const remove = async () => (await confirm({ title: t(`task.${kind}.delete`), text: t("task.deleteText"), action: t("task.actions.delete"), run })) && reload(t("task.deleted"));
      return h("button", { type: "button", class: "link danger", onclick: () => remove().catch(showError), "aria-label": t(`task.${kind}.delete`) }, t("task.actions.delete"));
    }
  }

  function checkPanel(check, isComplete) {
    const view = h("div");
    showCheck(check);
    return h("section", { class: "panel" }, h("h2", {}, t("task.check.title")), h("p", { class: "quiet" }, t("task.check.hint")), view);

    function showCheck(shown) {
      const start = async () => {
        await api.post(`${path}/tests/check`);
        showCheck(await loadCheck());
      };
      const canStart = can("write") && shown?.state !== "running";
      const button = canStart && h("button", { type: "button", class: "secondary", disabled: !isComplete, onclick: ({ currentTarget }) => runAction(currentTarget, start) }, t("task.check.start"));
      fill(view, shown ? checkView(shown) : h("p", {}, t("task.check.none")), button && h("div", { class: "actions" }, button));
      if (shown?.state === "running") setTimeout(() => refresh(shown), REFRESH_MS);
    }

    async function refresh(shown) {
      if (signal.aborted || !view.isConnected) return;
      const next = await loadCheck().catch(() => shown);
      if (JSON.stringify(next) !== JSON.stringify(shown)) showCheck(next);
      else setTimeout(() => refresh(shown), REFRESH_MS);
    }
  }
}

function orNull(error) {
  if (error.status === 404) return null;
  throw error;
}

function contentType(kind, name) {
  const suffix = FILES[kind].find((ending) => name.toLowerCase().endsWith(ending));
  if (!suffix) throw new api.ApiError(400, { error: t("task.wrongType", { types: FILES[kind].join(", ") }) });
  if (PATCHES.includes(suffix)) return "text/x-patch";
  return { ".zip": "application/zip", ".bundle": "application/x-git-bundle" }[suffix] ?? "application/gzip";
}

const code = (text) => text && h("code", {}, untrusted(text));

function fileDetails({ size, sha256, commitId, createdAt, fileCount, settings }) {
  return pairs([
    ["createdAt", formatDateTime(createdAt)],
    ["size", formatBytes(size)],
    ["fileCount", fileCount],
    ["commitId", code(commitId)],
    ["sha256", code(sha256)],
    ...(settings ? settingRows(settings) : []),
  ], (name) => t(`task.fields.${name}`));
}

function settingRows({ command, serve, setup, setupNetwork, files, framework, report, image, limits }) {
  return [
    ["command", code(command)],
    ["serve", code(serve)],
    ["setup", setup && [code(setup), setupNetwork && ` ${t("task.withNetwork")}`]],
    ["files", !serve && files?.map(({ from, to }) => h("div", {}, code(`${from} → ${to}`)))],
    ["framework", framework && untrusted(framework)],
    ["report", code(report)],
    ["image", code(image)],
    ["limits", t("task.limits", limits)],
  ];
}

function checkView({ state, hint, isCurrent, problem, names, unstable, runs, createdAt }) {
  const kind = { ready: "good", running: "" }[state] ?? "bad";
  return [
    h("div", { class: `notice ${kind}`, role: "status" }, h("strong", {}, t(`task.check.states.${state}`)), problem && longText(problem), hint && h("p", {}, hint)),
    !isCurrent && h("p", { class: "notice warn" }, t("task.check.older")),
    h("p", { class: "quiet" }, formatDateTime(createdAt)),
    unstable?.length > 0 && nameList(t("task.check.unstable", { n: unstable.length }), unstable, true),
    names?.length > 0 && nameList(t("task.check.names", { n: names.length }), names),
    h("ul", {}, runs.map(checkRun)),
  ];
}

function nameList(title, names, open = false) {
  const more = names.length > MAX_NAMES && h("p", { class: "quiet" }, t("common.more", { n: names.length - MAX_NAMES }));
  return h("details", { class: "test-run", open }, h("summary", {}, title), h("ul", {}, names.slice(0, MAX_NAMES).map((name) => h("li", {}, h("code", {}, testName(name))))), more);
}

function checkRun(run) {
  return h("li", {}, `${t(`task.check.purposes.${run.purpose}`)}: ${runResult(run)}`, run.reason && longText(run.reason));
}
