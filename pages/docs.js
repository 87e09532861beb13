// Swagger UI over our own OpenAPI document. Credentials stay in this page's memory, and requests on this origin.

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// Swagger UI gives the field a placeholder only, which is no name to a screen reader.
function nameTheFilter() {
  document.querySelector(".operation-filter-input").setAttribute("aria-label", "Filter operations by tag or path");
}

SwaggerUIBundle({
  url: `${document.documentElement.dataset.root}/openapi.json`,
  dom_id: "#operations",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 2,
  displayRequestDuration: true,
  persistAuthorization: false,
  withCredentials: false,
  validatorUrl: null,
  onComplete: nameTheFilter,
});
