<?php

// Asked by balancers: PHP-FPM runs scripts. Nothing of the application, and never its database.

declare(strict_types=1);

header('Content-Type: text/plain; charset=utf-8');
header('Cache-Control: no-store');
echo "ok\n";
