// Swagger UI for /openapi.json. Credentials stay in memory; requests go to this origin only.

const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", applyTheme);
applyTheme();

// Swagger UI gives the field only a placeholder, which screen readers do not announce.
function labelFilter() {
  document.querySelector(".operation-filter-input").setAttribute("aria-label", "Filter operations by tag or path");
}

SwaggerUIBundle({
  url: `${document.documentElement.dataset.root}/openapi.json`,
  dom_id: "#operations",
  deepLinking: true,
  // With all operations open, Swagger UI stops after a few of a document of this size.
  docExpansion: "none",
  filter: true,
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 2,
  displayRequestDuration: true,
  persistAuthorization: false,
  withCredentials: false,
  validatorUrl: null,
  onComplete: labelFilter,
});
