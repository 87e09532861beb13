// Swagger UI for /openapi.json. Credentials stay in memory; requests go to this origin only.

const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", applyTheme);
applyTheme();

// Swagger UI labels the field only with a placeholder, which screen readers do not announce.
function labelFilter() {
  document.querySelector(".operation-filter-input").setAttribute("aria-label", "Filter operations by tag or path");
}

SwaggerUIBundle({
  url: `${document.documentElement.dataset.root}/openapi.json`,
  dom_id: "#operations",
  deepLinking: true,
  // From 150 open groups and operations on, Swagger UI renders only visible ones, and the browser's search does not find
  // the others (swagger-api/swagger-ui#11056).
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
