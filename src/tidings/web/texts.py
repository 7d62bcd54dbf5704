"""What the pages say, by language."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidings.domain.channels import Channel


@dataclass(frozen=True, slots=True)
class Texts:
    """{category} and {channel} stand for their names."""

    language: str
    channels: Mapping[Channel, str]
    unsubscribe_title: str
    unsubscribe_question: str
    unsubscribe_button: str
    done_title: str
    done_text: str
    undo_button: str
    undone_title: str
    undone_text: str
    mandatory_text: str
    choices_link: str
    choices_title: str
    choices_text: str
    everything: str
    everything_text: str
    always: str
    save_button: str
    saved: str
    invalid_title: str
    invalid_text: str
    unavailable_title: str
    unavailable_text: str
    right_to_left: bool = False


ENGLISH = Texts(
    language="en",
    channels={
        Channel.EMAIL: "Email",
        Channel.SMS: "Text message",
        Channel.PUSH: "Push notification",
        Channel.IN_APP: "In the app",
    },
    unsubscribe_title="Unsubscribe",
    unsubscribe_question="Do you want to stop getting “{category}” by this channel: {channel}?",
    unsubscribe_button="Unsubscribe",
    done_title="You are unsubscribed",
    done_text="You will get no more “{category}” by this channel: {channel}.",
    undo_button="Subscribe again",
    undone_title="You are subscribed again",
    undone_text="You will get “{category}” by this channel again: {channel}.",
    mandatory_text="“{category}” is always sent, because it is needed to use the service.",
    choices_link="All my choices",
    choices_title="Notification preferences",
    choices_text="Choose what you want to be told, and how.",
    everything="All notifications",
    everything_text="What is off here is off for every kind below.",
    always="Always sent",
    save_button="Save",
    saved="Your choices are saved.",
    invalid_title="This link does not work",
    invalid_text="It is incomplete or has expired. Please use the link of a newer message.",
    unavailable_title="Please try again",
    unavailable_text="This does not work at the moment. Nothing was changed. Try again in a minute.",
)
_GERMAN = Texts(
    language="de",
    channels={
        Channel.EMAIL: "E-Mail",
        Channel.SMS: "SMS",
        Channel.PUSH: "Push-Mitteilung",
        Channel.IN_APP: "In der App",
    },
    unsubscribe_title="Abmelden",
    unsubscribe_question="Möchten Sie „{category}“ auf diesem Weg nicht mehr erhalten: {channel}?",
    unsubscribe_button="Abmelden",
    done_title="Sie sind abgemeldet",
    done_text="Sie erhalten „{category}“ auf diesem Weg nicht mehr: {channel}.",
    undo_button="Wieder anmelden",
    undone_title="Sie sind wieder angemeldet",
    undone_text="Sie erhalten „{category}“ wieder auf diesem Weg: {channel}.",
    mandatory_text="„{category}“ wird immer gesendet, weil es für die Nutzung des Dienstes nötig ist.",
    choices_link="Alle Einstellungen",
    choices_title="Benachrichtigungen",
    choices_text="Wählen Sie, was Sie erfahren möchten und auf welchem Weg.",
    everything="Alle Benachrichtigungen",
    everything_text="Was hier aus ist, ist für alle Arten darunter aus.",
    always="Wird immer gesendet",
    save_button="Speichern",
    saved="Ihre Auswahl ist gespeichert.",
    invalid_title="Dieser Link funktioniert nicht",
    invalid_text="Er ist unvollständig oder abgelaufen. Bitte benutzen Sie den Link einer neueren Nachricht.",
    unavailable_title="Bitte versuchen Sie es noch einmal",
    unavailable_text="Das geht im Augenblick nicht. Es wurde nichts geändert. Versuchen Sie es in einer Minute wieder.",
)
_FRENCH = Texts(
    language="fr",
    channels={
        Channel.EMAIL: "E-mail",
        Channel.SMS: "SMS",
        Channel.PUSH: "Notification push",
        Channel.IN_APP: "Dans l’application",
    },
    unsubscribe_title="Se désabonner",
    unsubscribe_question="Voulez-vous ne plus recevoir « {category} » par ce canal : {channel} ?",
    unsubscribe_button="Se désabonner",
    done_title="Vous êtes désabonné",
    done_text="Vous ne recevrez plus « {category} » par ce canal : {channel}.",
    undo_button="Se réabonner",
    undone_title="Vous êtes de nouveau abonné",
    undone_text="Vous recevrez de nouveau « {category} » par ce canal : {channel}.",
    mandatory_text="« {category} » est toujours envoyé, car c’est nécessaire à l’utilisation du service.",
    choices_link="Tous mes choix",
    choices_title="Préférences de notification",
    choices_text="Choisissez ce que vous voulez savoir, et comment.",
    everything="Toutes les notifications",
    everything_text="Ce qui est désactivé ici l’est pour tout ce qui suit.",
    always="Toujours envoyé",
    save_button="Enregistrer",
    saved="Vos choix sont enregistrés.",
    invalid_title="Ce lien ne fonctionne pas",
    invalid_text="Il est incomplet ou a expiré. Veuillez utiliser le lien d’un message plus récent.",
    unavailable_title="Veuillez réessayer",
    unavailable_text="Cela ne fonctionne pas pour le moment. Rien n’a été modifié. Réessayez dans une minute.",
)
_SPANISH = Texts(
    language="es",
    channels={
        Channel.EMAIL: "Correo electrónico",
        Channel.SMS: "SMS",
        Channel.PUSH: "Notificación push",
        Channel.IN_APP: "En la aplicación",
    },
    unsubscribe_title="Cancelar la suscripción",
    unsubscribe_question="¿Quiere dejar de recibir «{category}» por este medio: {channel}?",
    unsubscribe_button="Cancelar la suscripción",
    done_title="Suscripción cancelada",
    done_text="Ya no recibirá «{category}» por este medio: {channel}.",
    undo_button="Volver a suscribirse",
    undone_title="Se ha suscrito de nuevo",
    undone_text="Volverá a recibir «{category}» por este medio: {channel}.",
    mandatory_text="«{category}» se envía siempre, porque es necesario para usar el servicio.",
    choices_link="Todas mis preferencias",
    choices_title="Preferencias de notificación",
    choices_text="Elija qué quiere saber y cómo.",
    everything="Todas las notificaciones",
    everything_text="Lo que se desactiva aquí queda desactivado para todo lo siguiente.",
    always="Se envía siempre",
    save_button="Guardar",
    saved="Sus preferencias se han guardado.",
    invalid_title="Este enlace no funciona",
    invalid_text="Está incompleto o ha caducado. Use el enlace de un mensaje más reciente.",
    unavailable_title="Inténtelo de nuevo",
    unavailable_text="Esto no funciona en este momento. No se ha cambiado nada. Inténtelo dentro de un minuto.",
)
_ITALIAN = Texts(
    language="it",
    channels={
        Channel.EMAIL: "E-mail",
        Channel.SMS: "SMS",
        Channel.PUSH: "Notifica push",
        Channel.IN_APP: "Nell’app",
    },
    unsubscribe_title="Annulla l’iscrizione",
    unsubscribe_question="Vuole smettere di ricevere «{category}» con questo mezzo: {channel}?",
    unsubscribe_button="Annulla l’iscrizione",
    done_title="Iscrizione annullata",
    done_text="Non riceverà più «{category}» con questo mezzo: {channel}.",
    undo_button="Iscriviti di nuovo",
    undone_title="Iscrizione ripristinata",
    undone_text="Riceverà di nuovo «{category}» con questo mezzo: {channel}.",
    mandatory_text="«{category}» viene sempre inviato, perché è necessario per usare il servizio.",
    choices_link="Tutte le mie scelte",
    choices_title="Preferenze di notifica",
    choices_text="Scelga che cosa vuole sapere, e come.",
    everything="Tutte le notifiche",
    everything_text="Ciò che è disattivato qui lo è per tutto quanto segue.",
    always="Sempre inviato",
    save_button="Salva",
    saved="Le sue scelte sono state salvate.",
    invalid_title="Questo link non funziona",
    invalid_text="È incompleto o scaduto. Usi il link di un messaggio più recente.",
    unavailable_title="Riprovi",
    unavailable_text="Al momento non funziona. Nulla è stato modificato. Riprovi tra un minuto.",
)
_ARABIC = Texts(
    language="ar",
    right_to_left=True,
    channels={
        Channel.EMAIL: "البريد الإلكتروني",
        Channel.SMS: "رسالة نصية",
        Channel.PUSH: "إشعار فوري",
        Channel.IN_APP: "داخل التطبيق",
    },
    unsubscribe_title="إلغاء الاشتراك",
    unsubscribe_question="هل تريد التوقف عن تلقي «{category}» عبر هذه القناة: {channel}؟",
    unsubscribe_button="إلغاء الاشتراك",
    done_title="تم إلغاء اشتراكك",
    done_text="لن تتلقى «{category}» بعد الآن عبر هذه القناة: {channel}.",
    undo_button="الاشتراك من جديد",
    undone_title="تم اشتراكك من جديد",
    undone_text="ستتلقى «{category}» مجددًا عبر هذه القناة: {channel}.",
    mandatory_text="يُرسل «{category}» دائمًا لأنه ضروري لاستخدام الخدمة.",
    choices_link="كل اختياراتي",
    choices_title="تفضيلات الإشعارات",
    choices_text="اختر ما تريد أن تعرفه، وكيف.",
    everything="كل الإشعارات",
    everything_text="ما يُوقَف هنا يُوقَف لكل الأنواع أدناه.",
    always="يُرسل دائمًا",
    save_button="حفظ",
    saved="تم حفظ اختياراتك.",
    invalid_title="هذا الرابط لا يعمل",
    invalid_text="الرابط غير مكتمل أو انتهت صلاحيته. يُرجى استخدام رابط رسالة أحدث.",
    unavailable_title="يُرجى المحاولة مرة أخرى",
    unavailable_text="هذا لا يعمل في الوقت الحالي. لم يتغير شيء. حاول مرة أخرى بعد دقيقة.",
)

LANGUAGES: Mapping[str, Texts] = {
    one.language: one for one in (ENGLISH, _GERMAN, _FRENCH, _SPANISH, _ITALIAN, _ARABIC)
}
"""By language tag."""
