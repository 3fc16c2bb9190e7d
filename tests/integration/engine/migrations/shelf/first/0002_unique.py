"""Changes the table in three ways, of which the second may be refused."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a field, and makes another one unique."""

    dependencies = [("shelf", "0001_initial")]
    operations = [
        migrations.AddField("Book", "pages", models.IntegerField(default=100)),
        migrations.AlterField("Book", "number", models.IntegerField(unique=True)),
        migrations.RenameField("Book", "number", "code"),
    ]
