<?php

// The front controller of the sample application: every request that is not a file comes here.

declare(strict_types=1);

require __DIR__ . '/../src/pages.php';

[$status, $type, $body] = Sample\page(
    (string) ($_SERVER['REQUEST_METHOD'] ?? 'GET'),
    (string) (parse_url((string) ($_SERVER['REQUEST_URI'] ?? '/'), PHP_URL_PATH) ?: '/'),
);
http_response_code($status);
header("Content-Type: $type; charset=utf-8");
echo $body;
