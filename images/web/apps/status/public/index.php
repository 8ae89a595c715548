<?php

// A second application, beside the sample: it shows the state of its own pool's caches.

declare(strict_types=1);

header('Content-Type: application/json');
$opcache = opcache_get_status(false);
echo json_encode([
    'pool' => 'status',
    'opcache' => $opcache !== false && $opcache['opcache_enabled'],
    'apcu' => apcu_enabled(),
]), "\n";
