<?php echo 'goldpress-php ' . PHP_VERSION . ' ' . PHP_SAPI . "\n";
