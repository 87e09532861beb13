// Swagger UI for /openapi.json. Credentials stay in memory, and requests go only to this origin.

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.documentElement.classList.toggle("dark-mode", prefersDark.matches);
prefersDark.addEventListener("change", applyTheme);
applyTheme();

// Swagger UI labels the filter only with a placeholder, which is not an accessible name.
function labelFilter() {
  document.querySelector(".operation-filter-input").setAttribute("aria-label", "Filter operations by tag or path");
}

SwaggerUIBundle({
  url: `${document.documentElement.dataset.root}/openapi.json`,
  dom_id: "#operations",
  deepLinking: true,
  // With 150 or more expanded groups and operations, Swagger UI renders only the visible ones, and the browser's search
  // does not find the others (swagger-api/swagger-ui#11056).
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
