/* Shows the API document that the page names. */
window.addEventListener('load', function () {
  SwaggerUIBundle({
    url: document.body.getAttribute('data-document'),
    dom_id: '#swagger-ui',
    deepLinking: true,
    validatorUrl: null
  });
});
