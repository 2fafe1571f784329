"""What people and scripts read: the status page and `/api/v1`. Pure, bounded in size."""
